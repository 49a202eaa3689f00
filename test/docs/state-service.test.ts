import { beforeAll, describe, expect, it } from 'vitest';
import { buildOnce } from '../world/build.js';
import { programOf } from './program.js';
import { runs } from './runs.js';

beforeAll(buildOnce);

describe('docs/state-service.md', () => {
  it('is a program that does what its comments say', async () => {
    const program = programOf(new URL('../../docs/state-service.md', import.meta.url));
    expect(program.match(/assert\./gu)?.length).toBeGreaterThan(14);
    expect(program).not.toMatch(/\/\/ [→✗]/u);
    await runs(program);
  }, 120_000);
});
