import { writeSync } from 'node:fs';
import { FolderLocked, lockFolder } from '../../../src/storage/lock.js';

/** Tries to lock the folder, says how it went, and keeps the lock until it is killed (or ends at once: `leave`). */
const [dir = '', what] = process.argv.slice(2);
const say = (line: string) => writeSync(1, `${line}\n`);

try {
  const lock = await lockFolder(dir);
  say(`locked ${process.pid}`);
  if (what === 'release') {
    await lock.release();
    say('released');
  } else if (what !== 'leave') setInterval(() => {}, 60_000);
} catch (error) {
  if (!(error instanceof FolderLocked)) throw error;
  say(`refused ${error.pid}`);
}
