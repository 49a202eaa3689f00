import { expect, it, vi } from 'vitest';
import type * as FileSystem from 'node:fs/promises';
import { writeFile } from 'node:fs/promises';
import { openAgents } from '../../src/platform/agents.js';
import { silentLog, type Log } from '../../src/telemetry/log.js';
import { AGENTS, scratchFile } from './world.js';

let isRefused = false;
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof FileSystem>();
  const readFile = (...args: Parameters<typeof real.readFile>) =>
    isRefused ? Promise.reject(new Error('EMFILE: too many open files')) : real.readFile(...args);
  return { ...real, readFile };
});

it('reads a changed file that could not be read for a while, and says so once', async () => {
  const path = await scratchFile('agents.yaml', AGENTS);
  const errors: unknown[] = [];
  const log: Log = { ...silentLog, error: (fields) => errors.push(fields) };
  const registry = await openAgents(path, {}, log);
  await writeFile(path, AGENTS.replace('drill, name', 'another, name'));
  isRefused = true;
  for (let look = 0; look < 3; look++) expect(await registry.find('drill')).toBeDefined();
  expect(errors).toMatchObject([{ code: 'unreadable' }]);
  isRefused = false;
  expect(await registry.find('another')).toBeDefined();
  expect(errors).toHaveLength(1);
});
