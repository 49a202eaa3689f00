import { randomInt } from 'node:crypto';
import { freePort } from '../../src/dev/port.js';

// Below the range that systems take for outgoing connections, so that none of those is in the way a moment later.
const FIRST = 15_000;
const LAST = 30_000;
// A part of them for each worker of the run: what one has chosen and not bound yet, or lets go of for a restart, looks
// free to the others.
const PARTS = 10;
const SIZE = (LAST - FIRST) / PARTS;
const first = FIRST + (Number(process.env['VITEST_POOL_ID'] ?? 0) % PARTS) * SIZE;
const given = new Set<number>();

/** A port of 127.0.0.1 that is free and that nobody else in this run of the tests was given. */
export async function testPort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const wish = randomInt(first, first + SIZE);
    if (given.has(wish) || (await freePort(wish)) !== wish) continue;
    given.add(wish);
    return wish;
  }
  throw new Error('No free port found');
}
