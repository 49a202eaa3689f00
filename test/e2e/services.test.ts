import { expect, test } from 'vitest';
import { cluster } from '../world/cluster.js';
import { understudy } from '../world/command.js';
import { testPort } from '../world/port.js';

test('platform and relay come up, say that they are alive and ready, and end cleanly on SIGTERM', async () => {
  const world = await cluster({ replicas: 0, relays: 2 });
  for (const process of world.processes) {
    expect((await process.page('/healthz'))?.status).toBe(200);
    expect((await process.page('/readyz'))?.status).toBe(200);
    expect((await process.page('/metrics'))?.text).toContain('# HELP');
    expect(await process.stop()).toBe(0);
  }
});

test('a second replica on one data folder ends with one clear line, and the first goes on', async () => {
  const world = await cluster({ replicas: 1 });
  const room = await world.room();
  await world.answered();
  const first = world.replica(0);
  const settings = { ...first.settings, UNDERSTUDY_HTTP_PORT: String(await testPort()) };
  const second = await understudy(['replica'], { settings });
  expect(second.code).toBe(2);
  expect(second.stderr).toContain('UNDERSTUDY_DATA_DIR');
  expect(second.stderr).toContain(String(first.pid));
  expect(second.stderr).not.toMatch(/\n\s+at /);
  await world.ask(room);
  await world.answered();
});
