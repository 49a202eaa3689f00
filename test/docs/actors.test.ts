import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Relay, silentLog, startRelay, systemClock } from '../../src/index.js';
import { MemoryStorage } from '../node/world.js';
import { buildOnce } from '../world/build.js';
import { programOf } from './program.js';
import { runs } from './runs.js';

const page = new URL('../../docs/actors.md', import.meta.url);
const readme = new URL('../../README.md', import.meta.url);
const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0)) await step();
});
beforeAll(buildOnce);

async function relay(): Promise<Relay> {
  const started = await startRelay({
    port: 0,
    tokens: undefined,
    storage: new MemoryStorage(),
    clock: systemClock,
    log: silentLog,
  });
  undo.push(() => started.close());
  return started;
}

describe('docs/actors.md', () => {
  it('is a program that does what its comments say', async () => {
    const program = programOf(page);
    expect(program.match(/assert\./gu)?.length).toBeGreaterThan(15);
    expect(program).not.toMatch(/\/\/ [→✗]/u);
    await runs(program);
  }, 120_000);
});

describe('README.md', () => {
  it('shows a program that runs, as it stands, beside a relay', async () => {
    const { url } = await relay();
    const program = programOf(readme).replace('ws://127.0.0.1:3030', url);
    const end = "await until(() => crossing.snapshot().value === 'green'); await node.close();";
    expect(await runs(`${program}\n${end}`)).toContain('off → red\nred → green\n');
  }, 120_000);
});
