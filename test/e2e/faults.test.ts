import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { startSynapse, type Synapse } from '../../src/dev/synapse.js';
import { silentLog } from '../../src/telemetry/log.js';
import { cluster, type Cluster } from '../world/cluster.js';
import { answeredBy, drill, invoked, struckMidRun } from '../world/inside.js';
import { testPort } from '../world/port.js';
import { isEventPut, type Behaviour, type Seen } from '../world/proxy.js';
import { synapseVenv } from '../world/synapse-venv.js';
import { everyRoomIsJudged } from '../world/watch.js';

/** One that a test may kill; it is there until its rooms have been judged. */
let synapse: Synapse | undefined;
let synapseDir: string | undefined;
afterAll(async () => {
  await synapse?.stop();
  if (synapseDir !== undefined) await rm(synapseDir, { recursive: true, force: true, maxRetries: 10 });
});

/** Treats the next `count` requests of a kind so, whichever replica makes them. */
function next(world: Cluster, count: number, behaviour: Behaviour, which: (seen: Seen) => boolean): void {
  let left = count;
  for (const { proxy } of world.replicas) {
    proxy.rule((seen) => {
      if (left === 0 || !which(seen)) return undefined;
      left -= 1;
      return behaviour;
    });
  }
}

const sum = (world: Cluster, kind: Behaviour['kind']) =>
  world.replicas.reduce((total, { proxy }) => total + proxy.counts[kind], 0);

test('a homeserver that answers 429 and 502, and whose answers to PUTs are lost: nothing lost, nothing doubled', async () => {
  const world = await cluster({ replicas: 2, proxies: true });
  const rooms = [await world.room(), await world.room()];
  await world.answered();
  const before = await world.invocations();
  const askEverywhere = () => Promise.all(rooms.flatMap((room) => [world.ask(room), world.ask(room)]));

  next(world, 5, { kind: 'refuse', status: 429, retryAfterMs: 300 }, isEventPut);
  await askEverywhere();
  await world.answered();
  next(world, 12, { kind: 'refuse', status: 502 }, () => true);
  await askEverywhere();
  await world.answered();
  // As many as there are answers to send: a lost answer may be found in the room without a second PUT.
  next(world, 4, { kind: 'drop-answer' }, isEventPut);
  await askEverywhere();
  await world.answered();

  expect(sum(world, 'refuse')).toBe(17);
  expect(sum(world, 'drop-answer')).toBe(4);
  expect(await world.invocations()).toBe(before + world.answers.length);
  await world.watch('429, 502 and lost answers');
});

/** The homeserver encrypts what is made with a private preset (REQUIREMENTS R2). */
async function onlyThePersonsIsEncrypted(world: Cluster, room: string): Promise<void> {
  const made = await world.alice.invitations();
  expect(made).toHaveLength(2);
  for (const one of [room, ...made]) {
    await world.alice.join(one);
    const state = await world.alice.state(one);
    const said = (type: string) => state.filter((event) => event.type === type).map(({ content }) => content);
    expect(said('m.room.encryption')).toHaveLength(one === room ? 1 : 0);
    expect(said('m.room.join_rules')).toEqual([{ join_rule: 'invite' }]);
    expect(said('m.room.guest_access')).toEqual([{ guest_access: 'can_join' }]);
    const isSpace = said('m.room.create').some(({ type }) => type === 'm.space');
    const [text, times] = isSpace ? [/./, 0] : [/^Hello! This room is a chat of your own/, 1];
    if (one !== room) world.messages.push({ room: one, text, times });
  }
}

test('homeserver and platform are each killed in the middle of a run: one answer, one invocation', async () => {
  synapseDir = await mkdtemp(join(tmpdir(), 'understudy-synapse-'));
  // Not one that systems take for outgoing connections: it must be free once more after the kill.
  const port = await testPort();
  const settings = { venvDir: synapseVenv, dir: synapseDir, port, encrypted: 'invite' } as const;
  synapse = await startSynapse({ ...settings, log: silentLog });
  const world = await cluster({ replicas: 2, homeserver: synapse, agents: drill });
  const room = await world.room();
  await world.answered();
  await onlyThePersonsIsEncrypted(world, room);
  const before = await world.invocations();

  await world.ask(room, (token) => `wait 2 ${token}`);
  await invoked(world, before + 1);
  await synapse.kill();
  // The run ends while there is nobody to tell.
  await expect.poll(() => world.runsUnderWay(), { timeout: 60_000 }).toBe(0);
  await synapse.restart();
  await world.answered();

  await world.ask(room, (token) => `wait 2 ${token}`);
  await invoked(world, before + 2);
  await world.platforms[0]!.kill();
  await world.platforms[0]!.start();
  await world.answered();
  expect(await world.invocations()).toBe(before + 2);
  await world.watch('homeserver and platform killed');
});

test('the platform comes back without its database: rooms go on, in a fresh context', async () => {
  const world = await cluster({ replicas: 2 });
  const room = await world.room();
  await world.answered();
  const platform = world.platforms[0]!;
  await platform.kill();
  await rm(platform.settings['UNDERSTUDY_DATA_DIR']!, { recursive: true });
  await platform.start();
  await world.ask(room);
  await world.answered();
  expect(await world.problems()).toBe('');
  await world.watch('platform database lost');
});

test('O7: SIGTERM in the middle of a run hands over; the answer is not later than the run and a lease', async () => {
  // A lease that leaves room for a machine that stands still for seconds, and so that waiting for somebody's turn shows.
  const [leaseMs, patienceMs] = [20_000, 100_000];
  const world = await cluster({
    replicas: 2,
    agents: drill,
    lease: `${leaseMs}ms`,
    heartbeat: '500ms',
    patience: `${patienceMs}ms`,
  });
  const room = await world.room();
  await world.answered();
  const {
    asked,
    owner,
    seconds,
    invocations: before,
  } = await struckMidRun(world, room, {
    strike: async (replica) => expect(await replica.stop()).toBe(0),
    mend: (replica) => replica.start(),
  });
  await world.answered(240_000);
  expect(await world.invocations()).toBe(before + 1);
  expect(await answeredBy(world, asked)).not.toBe(owner.name);
  // By the homeserver's own clock.
  const history = await world.alice.history(room);
  const at = (look: (event: (typeof history)[number]) => boolean) =>
    history.findLast(look)?.origin_server_ts ?? Infinity;
  const delay =
    at(({ sender }) => sender === world.bot.userId) - at(({ event_id }) => event_id === asked.prompt);
  expect(delay).toBeLessThanOrEqual(seconds * 1000 + leaseMs);
  await world.watch('SIGTERM in the middle of a run');
});

everyRoomIsJudged();
