import { expect, test } from 'vitest';
import { cluster } from '../world/cluster.js';

test('platform and relay come up, say that they are alive and ready, and end cleanly on SIGTERM', async () => {
  const world = await cluster({ replicas: 0, relays: 2 });
  for (const process of world.processes) {
    expect((await process.page('/healthz'))?.status).toBe(200);
    expect((await process.page('/readyz'))?.status).toBe(200);
    expect((await process.page('/metrics'))?.text).toContain('# HELP');
    expect(await process.stop()).toBe(0);
  }
});
