import { withNames } from '../attachments.js';
import type { Backend } from './backend.js';

/** Answers "echo #<n in this context>: <text>" at once. Resumable: asking it twice is one invocation. */
export const echoBackend: Backend = {
  async answer(request) {
    await request.resume();
    return `echo #${request.number}: ${withNames(request.text, await request.attachments())}`;
  },
};
