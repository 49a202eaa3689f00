import type { OnProgress } from '../../backup/backup-file.js';
import type { Clock } from '../../time/clock.js';

/** How long nothing is said at first, and between two lines, milliseconds. */
const EVERY_MS = 1000;

/** Lines on stderr for whoever waits; a short piece of work says nothing. */
export function progressLines(what: string, clock: Clock): OnProgress {
  let said = clock.monotonic();
  return ({ documents, of, bytes }) => {
    if (clock.monotonic() - said < EVERY_MS) return;
    said = clock.monotonic();
    process.stderr.write(`… ${what} ${documents} of ${of} documents, ${sizeText(bytes)}\n`);
  };
}

export function sizeText(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / 2 ** 20).toFixed(1)} MB`;
}
