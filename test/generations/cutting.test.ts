import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually, folder, MemoryStorage, relay, sameHeads } from '../node/world.js';
import { counted, cutNow, cutting, generationOf, send, standing } from './world.js';

describe('a cut', () => {
  it('A6-cut: two replicas go over to the next generation, and go on there', async () => {
    const hub = await relay();
    const one = await cutting([hub]);
    const two = await cutting([hub]);
    const moved: number[] = [];
    two.onMoved((shard) => moved.push(shard));
    await send(one, '$1', 100);
    await send(one, '$2', 200);
    await eventually(() => counted(two).length === 2);
    expect(await cutNow(one)).toBe(1);
    expect(standing(one)).toEqual({ base: ['$1', '$2'], events: [], late: [] });
    await eventually(() => standing(two).base.length === 2);
    expect(moved).toEqual([0]);
    await send(two, '$3', 300);
    await eventually(() => counted(one).includes('$3'));
    expect(standing(one)).toEqual({ base: ['$1', '$2'], events: ['$3'], late: [] });
    await eventually(() => sameHeads(one, two));
    expect(generationOf(one)).toMatch(/^actors\/0\.1\./);
    expect(generationOf(two)).toBe(generationOf(one));
  });

  it('A6-removal: when every member has moved, the earlier generation goes from every disk', async () => {
    const hub = await relay();
    const dirs = [await folder(), await folder()];
    const [one, two] = [
      await cutting([hub], { dataDir: dirs[0]! }),
      await cutting([hub], { dataDir: dirs[1]! }),
    ];
    const first = one.heads().find(({ name }) => name === 'actors/0')!.id;
    await send(one, '$1', 100);
    await eventually(() => counted(two).length === 1);
    await cutNow(one);
    const files = async (dir: string) => {
      const place = join(dir, 'documents', first.slice(0, 2), first.slice(2));
      const entries = await readdir(place, { recursive: true, withFileTypes: true });
      return entries.filter((entry) => entry.isFile()).length;
    };
    await eventually(async () => (await files(dirs[0]!)) === 0 && (await files(dirs[1]!)) === 0);
    for (const replica of [one, two])
      expect(standing(replica)).toEqual({ base: ['$1'], events: [], late: [] });
    await two.close();
    const again = await cutting([hub], { dataDir: dirs[1]! });
    expect(standing(again)).toEqual({ base: ['$1'], events: [], late: [] });
    expect(again.counters().generations.moves).toBe(0);
  });

  it('A6-relay: nothing is cut that no relay has stored, and growth goes on', async () => {
    const storage = new MemoryStorage();
    const hub = await relay({ storage });
    const one = await cutting([hub]);
    await hub.close();
    await eventually(() => !one.channel.connected());
    await send(one, '$1', 100);
    expect(await cutNow(one)).toBe(0);
    expect(generationOf(one)).toBe('actors/0');
    await send(one, '$2', 200);
    await relay({ storage, port: hub.port });
    await eventually(() => one.channel.connected());
    await eventually(async () => (await cutNow(one)) === 1);
    expect(counted(one)).toEqual(['$1', '$2']);
  });

  it('A6-empty: a replica that never held the earlier generation takes the bytes from the relay', async () => {
    const hub = await relay();
    const one = await cutting([hub]);
    await send(one, '$1', 100);
    await cutNow(one);
    await send(one, '$2', 200);
    await cutNow(one);
    expect(await one.replicated(30_000)).toBe(true);
    const fresh = await cutting([hub]);
    expect(await fresh.synced(30_000)).toBe(true);
    expect(standing(fresh)).toEqual({ base: ['$1', '$2'], events: [], late: [] });
    await send(fresh, '$3', 300);
    await eventually(() => counted(one).length === 3);
  });
});
