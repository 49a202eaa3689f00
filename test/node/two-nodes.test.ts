import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openNode } from '../../src/index.js';
import { CLUSTER, eventually, folder, MemoryStorage, node, opening, relay, sameHeads } from './world.js';

const room = (id: string, fields: Record<string, string>) => ({
  kind: 'room' as const,
  key: `matrix_room:${id}`,
  fields,
});
const cause = (id: string, ts = 1000) => ({ id, ts });

describe('two nodes over a relay', () => {
  it('hold the same records, with the same provenance and heads', async () => {
    const hub = await relay();
    const one = await node([hub]);
    const two = await node([hub]);
    await one.change([room('!a:x', { chat_id: 'C1', matrix_user_id: '@alice:x' })], cause('$1', 50));
    await two.change([room('!b:x', { agent_id: 'echo' })], cause('$2', 60));
    await eventually(() => sameHeads(one, two));
    for (const replica of [one, two]) {
      expect(replica.read('room', 'matrix_room:!a:x')).toEqual({ chat_id: 'C1', matrix_user_id: '@alice:x' });
      expect(replica.provenance('room', 'matrix_room:!b:x')).toEqual({
        agent_id: { value: 'echo', stamp: 60, cause: '$2' },
      });
      expect([...replica.entries('room')].map(([key]) => key).sort()).toEqual([
        'matrix_room:!a:x',
        'matrix_room:!b:x',
      ]);
      expect([...replica.entries('member')]).toHaveLength(2);
    }
  });

  it('write apart, with no relay up, and read the same when it is back', async () => {
    const storage = new MemoryStorage();
    const first = await relay({ storage });
    const one = await node([first]);
    const two = await node([first]);
    await eventually(() => sameHeads(one, two));
    await first.close();
    await eventually(() => !one.channel.connected() && !two.channel.connected());

    await one.change([room('!a:x', { agent_id: 'echo', chat_id: 'C1' })], cause('$1', 100));
    await two.change([room('!a:x', { agent_id: 'drill' })], cause('$2', 200));
    await two.change([room('!b:x', { agent_id: 'drill' })], cause('$3', 300));
    expect(one.read('room', 'matrix_room:!b:x')).toBeUndefined();
    expect(await one.synced(50)).toBe(false);

    await relay({ storage, port: first.port });
    await eventually(() => sameHeads(one, two));
    for (const replica of [one, two]) {
      expect(replica.read('room', 'matrix_room:!a:x')).toEqual({ agent_id: 'drill', chat_id: 'C1' });
      expect(replica.read('room', 'matrix_room:!b:x')).toEqual({ agent_id: 'drill' });
      expect(await replica.synced(30_000)).toBe(true);
    }
  });

  it('tell of a third concurrent value, which Automerge gives no patch for, and bring it on to everyone', async () => {
    const storage = new MemoryStorage();
    const first = await relay({ storage });
    const nodes = [await node([first]), await node([first]), await node([first])];
    await eventually(() => sameHeads(...nodes));
    await first.close();
    await eventually(() => nodes.every(({ channel }) => !channel.connected()));
    for (const [index, field] of ['chat_id', 'agent_id', 'display_name'].entries()) {
      await nodes[index]!.change([room('!a:x', { [field]: 'v' })], cause(`$${index}`));
    }
    const told = nodes.map((replica) => {
      const seen: string[] = [];
      replica.onChange(({ key }) => seen.push(key));
      return seen;
    });
    await relay({ storage, port: first.port });
    await eventually(() => sameHeads(...nodes));
    for (const replica of nodes) {
      expect(replica.read('room', 'matrix_room:!a:x')).toEqual({
        chat_id: 'v',
        agent_id: 'v',
        display_name: 'v',
      });
    }
    for (const seen of told) expect(seen).toContain('matrix_room:!a:x');
  });

  it('use two relays at once, and lose nothing with one of them', async () => {
    const left = await relay();
    const right = await relay();
    const one = await node([left, right]);
    const two = await node([left, right]);
    await left.close();
    await one.change([room('!a:x', { chat_id: 'C1' })], cause('$1'));
    await eventually(() => two.read('room', 'matrix_room:!a:x')?.chat_id === 'C1');
    await eventually(() => sameHeads(one, two));
  });
});

describe('genesis (C5)', () => {
  it('C5: an empty replica that reaches nobody creates nothing, until the operator says go', async () => {
    const dataDir = await folder();
    const { statuses, abort, settled } = opening([{ url: 'ws://127.0.0.1:1' }], dataDir);
    await eventually(() => statuses.at(-1)?.state === 'waiting-for-peers');
    expect(statuses.at(-1)).toMatchObject({ reason: 'no-word' });
    // Longer than anything waits that is written later.
    await sleep(500);
    abort.abort();
    expect(await settled).toMatchObject({ code: 'aborted' });
    const entries = await readdir(join(dataDir, 'documents'), { recursive: true, withFileTypes: true });
    expect(entries.filter((entry) => entry.isFile())).toEqual([]);

    const alone = await node([], { dataDir, found: true });
    expect(alone.status().state).toBe('ready');
    expect(alone.read('cluster', 'cluster')).toMatchObject({ shards: 2, format: '1', judge: 'untested' });
  });

  it('C5: it is written when a relay says there is none, and everyone after takes that one', async () => {
    const hub = await relay();
    const one = await node([hub]);
    const genesis = one.read('cluster', 'cluster')!.genesis_ts;
    expect(genesis).toBeTypeOf('number');
    const two = await node([hub], { shards: 7 });
    expect(two.read('cluster', 'cluster')!.genesis_ts).toBe(genesis);
    expect(two.shards).toBe(2);
  });

  it('C5: a founder whose relay never stored the genesis waits again after a restart, and goes on by itself later', async () => {
    const dataDir = await folder();
    await (await node([], { dataDir, found: true })).close();
    const file = join(dataDir, 'replica.json');
    const replica = JSON.parse(await readFile(file, 'utf8')) as object;
    await writeFile(file, JSON.stringify({ ...replica, checksum: undefined, genesis_acknowledged: false }));

    const hub = await relay();
    await hub.close();
    const { statuses, promise } = opening([hub], dataDir);
    await eventually(() => statuses.at(-1)?.state === 'waiting-for-peers');
    expect(statuses.at(-1)).toMatchObject({ reason: 'not-acknowledged' });
    await relay({ port: hub.port });
    expect((await promise).status().state).toBe('ready');
  });

  it('C5: founded twice apart, the earlier genesis stands on both and its fall is told', async () => {
    const hub = await relay();
    await hub.close();
    const one = await node([hub], { found: true });
    const two = await node([hub], { found: true });
    const [early, late] = [one, two].map((replica) => replica.read('cluster', 'cluster')!.genesis_ts!);
    expect(early).toBeLessThanOrEqual(late!);
    await one.change([room('!a:x', { chat_id: 'C1' })], cause('$1'));
    await two.change([room('!a:x', { agent_id: 'echo' })], cause('$2'));
    const fell = new Promise<void>((resolve) => {
      two.onChange(({ kind }) => kind === 'cluster' && resolve());
    });
    await relay({ port: hub.port });
    await fell;
    await eventually(() => sameHeads(one, two));
    for (const replica of [one, two]) {
      expect(replica.read('cluster', 'cluster')!.genesis_ts).toBe(early);
      expect(replica.read('room', 'matrix_room:!a:x')).toEqual({ chat_id: 'C1', agent_id: 'echo' });
    }
  });

  it('founded twice apart with other numbers of shards, nothing goes out of sight', async () => {
    const hub = await relay();
    await hub.close();
    const dirs = [await folder(), await folder()];
    const one = await node([hub], { found: true, shards: 2, dataDir: dirs[0]! });
    const two = await node([hub], { found: true, shards: 5, dataDir: dirs[1]! });
    const people = Array.from({ length: 20 }, (_, index) => `@p${index}:x`);
    for (const [index, person] of people.entries()) {
      const writer = index % 2 === 0 ? one : two;
      await writer.change(
        [{ kind: 'user', key: `matrix_user:${person}`, fields: { space_id: `!s${index}` } }],
        cause(`$${index}`),
      );
    }
    await relay({ port: hub.port });
    const complete = (replica: typeof one) =>
      people.every(
        (person, index) => replica.read('user', `matrix_user:${person}`)?.space_id === `!s${index}`,
      );
    await eventually(() => complete(one) && complete(two) && sameHeads(one, two));
    expect([one.shards, two.shards]).toEqual([2, 2]);
    await one.close();
    const again = await node([hub], { dataDir: dirs[0]! });
    expect(complete(again)).toBe(true);
    expect([...again.entries('user')]).toHaveLength(20);
  });
});

describe('a folder', () => {
  it('keeps everything over a restart, under a new incarnation and a new Automerge author (A5)', async () => {
    const dataDir = await folder();
    const hub = await relay();
    const first = await node([hub], { dataDir });
    await first.change([room('!a:x', { chat_id: 'C1', matrix_user_id: '@alice:x' })], cause('$1'));
    const heads = first.heads();
    await first.close();
    const second = await node([hub], { dataDir });
    expect(second.self.replica).toBe(first.self.replica);
    expect(second.self.incarnation).not.toBe(first.self.incarnation);
    expect(second.read('room', 'matrix_room:!a:x')).toEqual({ chat_id: 'C1', matrix_user_id: '@alice:x' });
    // The member record of the new start is in `cluster`; the shards are as they were.
    const shards = (all: typeof heads) =>
      all.filter(({ name }) => name !== 'cluster').sort((a, b) => (a.name < b.name ? -1 : 1));
    expect(shards(second.heads())).toEqual(shards(heads));
    // With the first author's numbers, Automerge would refuse this.
    await second.change([room('!a:x', { agent_id: 'echo' })], cause('$2'));
  });

  it('that was deleted is filled from the others', async () => {
    const hub = await relay();
    const one = await node([hub]);
    await one.change([room('!a:x', { chat_id: 'C1' })], cause('$1'));
    expect(await one.replicated(30_000)).toBe(true);
    const fresh = await node([hub]);
    expect(await fresh.synced(30_000)).toBe(true);
    expect(fresh.read('room', 'matrix_room:!a:x')).toEqual({ chat_id: 'C1' });
  });

  it('serves one process, and no other replica’s id', async () => {
    const dataDir = await folder();
    const one = await node([], { dataDir, found: true, replicaId: 'one' });
    const again = { clusterId: CLUSTER, dataDir, relays: [], found: true };
    await expect(openNode(again)).rejects.toMatchObject({ code: 'locked' });
    await one.close();
    await expect(openNode({ ...again, replicaId: 'two' })).rejects.toThrow(
      /belongs to replica one, not to two/,
    );
  });

  it('is private', async () => {
    const dataDir = await folder();
    await node([], { dataDir, found: true });
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
    expect((await stat(join(dataDir, 'replica.json'))).mode & 0o777).toBe(0o600);
  });

  it('that lost chunks is not written before a relay has shown that nothing is missing', async () => {
    const dataDir = await folder();
    const storage = new MemoryStorage();
    const hub = await relay({ storage });
    const one = await node([hub], { dataDir });
    await one.change([room('!a:x', { chat_id: 'C1', matrix_user_id: '@alice:x' })], cause('$1'));
    expect(await one.replicated(30_000)).toBe(true);
    await one.close();
    let broken = 0;
    for (const file of await readdir(join(dataDir, 'documents'), { recursive: true, withFileTypes: true })) {
      const path = join(file.parentPath, file.name);
      if (!file.isFile() || !/snapshot|incremental/.test(file.parentPath)) continue;
      await writeFile(path, 'rotten');
      broken += 1;
    }
    expect(broken).toBeGreaterThan(0);
    await hub.close();
    const { statuses, abort, settled } = opening([hub], dataDir);
    await eventually(() => statuses.at(-1)?.state === 'waiting-for-peers');
    abort.abort();
    await settled;

    await relay({ storage, port: hub.port });
    const healed = await node([hub], { dataDir });
    expect(healed.read('room', 'matrix_room:!a:x')).toEqual({ chat_id: 'C1', matrix_user_id: '@alice:x' });
  });

  it('that lost a shard only waits as well, and says which', async () => {
    const dataDir = await folder();
    const storage = new MemoryStorage();
    const hub = await relay({ storage });
    const one = await node([hub], { dataDir });
    await one.change([room('!a:x', { chat_id: 'C1', matrix_user_id: '@alice:x' })], cause('$1'));
    const documents = one.heads();
    expect(await one.replicated(30_000)).toBe(true);
    await one.close();
    await hub.close();
    const written = documents.filter(({ name }) => name.startsWith('routing'));
    let broken = 0;
    for (const file of await readdir(join(dataDir, 'documents'), { recursive: true, withFileTypes: true })) {
      const place = join(file.parentPath, file.name).slice(join(dataDir, 'documents').length);
      const plain = place.replaceAll('/', '');
      if (!file.isFile() || !written.some(({ id }) => plain.startsWith(id))) continue;
      await writeFile(join(file.parentPath, file.name), 'rotten');
      broken += 1;
    }
    expect(broken).toBeGreaterThan(0);
    const { statuses, promise } = opening([hub], dataDir);
    await eventually(() => statuses.at(-1)?.state === 'waiting-for-peers');
    expect(statuses.at(-1)).toMatchObject({ reason: 'recovering' });
    await relay({ storage, port: hub.port });
    const healed = await promise;
    expect(healed.read('room', 'matrix_room:!a:x')).toEqual({ chat_id: 'C1', matrix_user_id: '@alice:x' });
  });
});
