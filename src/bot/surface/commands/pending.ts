import { notice } from '../texts.js';
import type { Run } from './command.js';

/** `!yes` and `!no` where nothing was asked (PROTOCOL P5): they never go to the agent. */
export const pendingCommand: Run = () => Promise.resolve(notice('Nothing is pending.'));
