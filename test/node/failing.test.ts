import { expect, it, onTestFinished } from 'vitest';
import { openDocuments } from './documents.js';

/** What nobody caught while the test runs: in a replica each of these ends the process. */
function uncaught(): unknown[] {
  const seen: unknown[] = [];
  const listen = (error: unknown): void => void seen.push(error);
  process.on('unhandledRejection', listen);
  process.on('uncaughtException', listen);
  onTestFinished(() => {
    process.off('unhandledRejection', listen);
    process.off('uncaughtException', listen);
  });
  return seen;
}

it('W-followed: what follows from a change may fail: the change stands, it is counted, and the process goes on', async () => {
  const seen = uncaught();
  let failed = 0;
  const documents = openDocuments({
    onTouched: () => {
      throw new Error('a rule of the node failed');
    },
    onFailed: () => void (failed += 1),
  });
  const document = await documents.open({ kind: 'actors', index: 0, generation: 0 });
  documents.change(document, 'a change', [], (draft) => void (draft['field'] = 1));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(document.handle.doc()['field']).toBe(1);
  expect(failed).toBe(1);
  expect(seen).toEqual([]);
});
