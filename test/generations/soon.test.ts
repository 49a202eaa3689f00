import { join } from 'node:path';
import * as A from '@automerge/automerge';
import { describe, expect, it } from 'vitest';
import { createMachine } from 'xstate';
import { genesisBytes } from '../../src/documents/genesis.js';
import { putAt } from '../../src/documents/document.js';
import { silentLog, systemClock, type Clock } from '../../src/index.js';
import { cutId, cutKey } from '../../src/node/generations/cut.js';
import { nextGeneration } from '../../src/node/generations/next-generation.js';
import { DurableStorage } from '../../src/storage/durable.js';
import { eventually, folder, node, relay } from '../node/world.js';
import { ACTOR, listingBases } from './bases.js';
import { cutNow, cutting, generationOf, send, standing } from './world.js';

/** Time in which what is looked at every half minute is never looked at. */
const withoutLooks: Clock = {
  ...systemClock,
  every: (ms, run) => (ms === 30_000 ? () => {} : systemClock.every(ms, run)),
};

/** The first generation of shard 0 with one event, and the cut of it, by somebody else. */
function elsewhere() {
  const name = { kind: 'actors', index: 0, generation: 0 } as const;
  const first = A.loadIncremental(A.init<Record<string, unknown>>(), genesisBytes(name));
  const event = new Map([['event', { value: { type: 'GO', ts: 50 }, stamp: 50, cause: '$0' }]]);
  const document = A.change(first, (draft) => {
    putAt(draft, { map: 'events', key: `event:${ACTOR} $0` }, event);
  });
  const heads = A.getHeads(document);
  const steps = nextGeneration(
    document,
    { index: 0, generation: 1, at: 1000, settled: 0 },
    listingBases,
    () => {},
  );
  let step = steps.next();
  while (!step.done) step = steps.next();
  const content = { parent: '', heads, bytesHash: A.decodeChange(step.value).hash };
  const id = cutId(content);
  const fields = {
    parent: '',
    heads,
    bytes_hash: content.bytesHash,
    at: 1000,
    settled_to: 0,
    replica: 'gone',
  };
  return {
    record: { kind: 'cut' as const, key: cutKey(0, 1, id), fields },
    change: A.getLastLocalChange(document)!,
    id,
  };
}

describe('a shard whose next generation is recorded', () => {
  it('A6-late-heads: moves as soon as what the cut was made from has come', async () => {
    const hub = await relay();
    const one = await cutting([hub], { clock: withoutLooks });
    const other = await cutting([hub], { clock: withoutLooks });
    await other.synced(30_000);
    const cut = elsewhere();
    await one.change([cut.record], { id: 'cut', ts: 1000 });
    expect(await one.synced(100)).toBe(false);
    expect(generationOf(one)).toBe('actors/0');
    const docId = one.heads().find(({ name }) => name === 'actors/0')!.id;
    other.channel.broadcast('change', { docId, bytes: cut.change });
    await eventually(() => generationOf(one) === `actors/0.1.${cut.id}`);
    expect(standing(one).base).toEqual(['$0']);
  });

  it('A6-retry: is moved again soon where moving failed', async () => {
    const hub = await relay();
    const one = await cutting([hub]);
    let failures = 2;
    const foldBases: typeof listingBases.foldBases = (...given) => {
      if (failures-- > 0) throw new Error('out of memory');
      return listingBases.foldBases(...given);
    };
    const two = await cutting([hub], {
      clock: withoutLooks,
      generations: { bases: { ...listingBases, foldBases }, events: 1 },
    });
    await send(one, '$1', 100);
    await eventually(() => standing(two).events.length === 1);
    await cutNow(one);
    await eventually(() => generationOf(two) === generationOf(one) && generationOf(two) !== 'actors/0');
    expect(two.counters().generations.failures).toBe(2);
    expect(standing(two).base).toEqual(['$1']);
  });

  it('A6-registered: is moved when the machines are known that its bytes need', async () => {
    const dataDir = await folder();
    const machine = createMachine({ id: 'light', initial: 'on', states: { on: { on: { GO: 'on' } } } });
    const open = () =>
      node([], {
        dataDir,
        shards: 1,
        found: true,
        generations: { events: 1, everyMs: 0 },
        clock: withoutLooks,
      });
    const before = await open();
    before.actors.register(machine);
    await before.actors.get('light/a').send({ type: 'GO' }, { cause: { id: '$1', ts: 1 } });
    // A member that is away keeps the first generation on the disk.
    await before.change([{ kind: 'member', key: 'member:away', fields: { joined_at: 1 } }], { id: 'm' });
    expect(await cutNow(before)).toBe(1);
    const cut = generationOf(before);
    const { id } = before.heads().find(({ name }) => name === cut)!;
    await before.close();
    const storage = new DurableStorage({ dir: join(dataDir, 'documents'), log: silentLog });
    await storage.removeRange([id]);
    await storage.close(AbortSignal.timeout(10_000));
    const after = await open();
    expect(generationOf(after)).toBe('actors/0');
    after.actors.register(machine);
    await eventually(() => generationOf(after) === cut);
    expect(after.actors.counts('light/a', '$1')).toBe(true);
  });
});
