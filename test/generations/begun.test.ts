import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { nodeFiles } from '../../src/storage/file-layer.js';
import { eventually, folder, MemoryStorage, relay, sameHeads } from '../node/world.js';
import { counted, cutting, generationOf, send } from './world.js';

it('A6-begun: the record of a cut may come while the start removes what the cut began', async () => {
  const storage = new MemoryStorage();
  const hub = await relay({ storage });
  const [dataDir, asItWas] = [await folder(), await folder()];
  const other = await cutting([hub]);
  const one = await cutting([hub], { dataDir, replicaId: 'killed' });
  await send(one, '$1', 1000);
  await eventually(() => sameHeads(one, other));
  // As a kill leaves it that comes before the record is on the disk, while the relay has it already.
  const archive = async () => {
    await cp(dataDir, asItWas, { recursive: true });
    await rm(join(asItWas, 'lock'));
  };
  expect(await one.cutIfDue({ mayCut: () => true, archive })).toBe(1);
  await eventually(() => sameHeads(one, other));
  expect(await one.replicated(30_000)).toBe(true);
  await one.close();
  await hub.close();

  const { rename } = nodeFiles;
  const port = Number(new URL(hub.url).port);
  let removes = false;
  nodeFiles.rename = async (from, to) => {
    if (to.endsWith('generations.json') && !removes) {
      removes = true;
      await relay({ storage, port });
      await pause(2000);
    }
    return rename(from, to);
  };
  try {
    const again = await cutting([hub], { dataDir: asItWas, replicaId: 'killed' });
    expect(removes).toBe(true);
    await eventually(() => sameHeads(again, other));
    expect(generationOf(again)).toMatch(/^actors\/0\.1\./u);
    expect(counted(again)).toEqual(['$1']);
  } finally {
    nodeFiles.rename = rename;
  }
});
