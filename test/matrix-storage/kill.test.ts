import { readdir } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { CLUSTER, folder, node } from '../node/world.js';
import { compiledChildren, startChild } from '../storage/children/build.js';

const KILLS = 4;
const children = compiledChildren('test/matrix-storage/children', ['storage-child']);

it(`N-file: killed ${KILLS} times while it stores: each token and value that was acknowledged is there, or the one after`, async () => {
  const dataDir = await folder();
  let from = 1;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const child = startChild(children.path('storage-child'), [dataDir, CLUSTER, String(from)]);
    await child.line(() => child.lines.length > 5 * (kill + 1));
    await child.kill();
    const last = (what: string) =>
      Math.max(...child.lines.flatMap((line) => (line.startsWith(what) ? [Number(line.split(' ')[1])] : [])));
    const one = await node([], { dataDir, found: true, shards: 1 });
    const storage = one.matrixStorage();
    const token = Number((await storage.getSyncToken())?.slice(1));
    const value = Number((await storage.readValue('k'))?.slice(1));
    expect([last('token'), last('token') + 1]).toContain(token);
    expect([last('value'), last('value') + 1]).toContain(value);
    from = token + 1;
    await one.close();
    expect((await readdir(dataDir)).filter((name) => /quarantine/.test(name))).toEqual([]);
  }
}, 120_000);
