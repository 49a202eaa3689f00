import * as A from '@automerge/automerge';
import type { PeerId } from '@automerge/automerge-repo';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { setup } from 'xstate';
import { silentLog, systemClock } from '../../src/index.js';
import { documentOf, readCut } from '../../src/node/generations/cut.js';
import { OpenDocuments } from '../../src/node/open-documents.js';
import { DurableStorage } from '../../src/storage/durable.js';
import { CLUSTER, folder, node } from '../node/world.js';
import { ACTOR, eventWrite } from './bases.js';
import { cutNow, generationOf, generationsOnDisk } from './world.js';

/** Some seconds; 100,000 under `npm run soak -- kills`, and GROWTH_EVENTS sets another number. */
const EVENTS = Number(
  process.env['GROWTH_EVENTS'] ?? (process.env['UNDERSTUDY_SOAK'] === '1' ? 100_000 : 10_000),
);
const AT_ONCE = 200;

describe('growth', () => {
  it(`A6-growth: after ${EVENTS} events of one actor its document is below 256 KB; the time to open it is printed`, async () => {
    const dataDir = await folder();
    const one = await node([], { dataDir, found: true, shards: 1 });
    one.actors.register(
      setup({}).createMachine({
        id: 'light',
        initial: 'red',
        states: { red: { on: { GO: 'green' } }, green: { on: { GO: 'red' } } },
      }),
    );
    const from = Date.now() - EVENTS;
    let cuts = 0;
    for (let at = 0; at < EVENTS; at += AT_ONCE) {
      const writes = Array.from({ length: AT_ONCE }, (_, of) =>
        eventWrite(`$${at + of}:example.org`, from + at + of),
      );
      await one.change(writes, { id: `$${at}`, ts: from + at });
      cuts += await cutNow(one);
    }
    expect(cuts).toBe(EVENTS / 2000);
    expect(generationOf(one)).toContain(`actors/0.${cuts}.`);
    const [key, record] = [...one.entries('cut')].find(([name]) => name.includes(`/0/${cuts}/`))!;
    const provenance = one.provenance('cut', key)!;
    expect(record).toBeDefined();
    const cut = readCut(key, new Map(Object.entries(provenance)))!;
    const top = (one.read('base', `base:${ACTOR}`)!.base as unknown as { stamp: number }).stamp;
    expect(top).toBe(from + EVENTS - 1);
    expect(one.actors.get(ACTOR).snapshot()).toMatchObject({ value: 'red' });
    await one.close();

    const storage = new DurableStorage({ dir: join(dataDir, 'documents'), log: silentLog });
    const documents = new OpenDocuments({
      clusterId: CLUSTER,
      peerId: 'p' as PeerId,
      storage,
      clock: systemClock,
      log: silentLog,
      onIncomplete: () => expect.unreachable(),
      onFailed: () => {},
      onTouched: () => {},
    });
    const started = performance.now();
    const opened = await documents.open(documentOf(0, cut));
    const openMs = performance.now() - started;
    const size = documents.saver.size(opened.id);
    const cluster = await documents.open({ kind: 'cluster', index: 0, generation: 0 });
    console.log(
      `${EVENTS} events, ${cuts} cuts: ${size} bytes on disk, opened in ${openMs.toFixed(0)} ms; ` +
        `cluster document ${documents.saver.size(cluster.id)} bytes`,
    );
    expect(A.hasHeads(opened.handle.doc(), [cut.bytesHash])).toBe(true);
    expect(size).toBeLessThan(256 * 1024);
    expect(await generationsOnDisk(dataDir)).toEqual([cuts]);
  }, 600_000);
});
