import { randomInt } from 'node:crypto';
import { freePort } from '../../src/dev/port.js';

// Below the range that systems take for outgoing connections, so that none of those is in the way a moment later.
const FIRST = 15_000;
const LAST = 30_000;
const given = new Set<number>();

/** A port of 127.0.0.1 that is free and that nobody else in this test process was given. */
export async function testPort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const wish = randomInt(FIRST, LAST);
    if (given.has(wish) || (await freePort(wish)) !== wish) continue;
    given.add(wish);
    return wish;
  }
  throw new Error('No free port found');
}
