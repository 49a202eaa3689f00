import files, { writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { expect, it, onTestFinished, vi } from 'vitest';
import { openAgents } from '../../src/platform/agents.js';
import { silentLog, type Log } from '../../src/telemetry/log.js';
import { AGENTS, scratchFile } from './world.js';

/** From now until the returned function is called nothing can be read. */
function refused(): () => void {
  const spy = vi.spyOn(files, 'readFile').mockRejectedValue(new Error('EMFILE: too many open files'));
  syncBuiltinESMExports();
  const lift = () => {
    spy.mockRestore();
    syncBuiltinESMExports();
  };
  onTestFinished(lift);
  return lift;
}

it('reads a changed file that could not be read for a while, and says so once', async () => {
  const path = await scratchFile('agents.yaml', AGENTS);
  const errors: unknown[] = [];
  const log: Log = { ...silentLog, error: (fields) => errors.push(fields) };
  const registry = await openAgents(path, {}, log);
  await writeFile(path, AGENTS.replace('drill, name', 'another, name'));
  const lift = refused();
  for (let look = 0; look < 3; look++) expect(await registry.find('drill')).toBeDefined();
  expect(errors).toMatchObject([{ code: 'unreadable' }]);
  lift();
  expect(await registry.find('another')).toBeDefined();
  expect(errors).toHaveLength(1);
});
