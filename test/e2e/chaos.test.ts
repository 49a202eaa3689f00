import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { cluster, type Cluster, type Replica } from '../world/cluster.js';
import { drill } from '../world/inside.js';
import { everyRoomIsJudged } from '../world/watch.js';

const ROOMS = 20;
const PROMPTS = 220;
const KILL_EVERY_MS = 2000;
const AT_LEAST_MS = 60_000;
/** On a slow machine restarts take longer, and enough kills too; not longer than this. */
const AT_MOST_MS = 480_000;

/** So that generations change under the prompts as well (PROTOCOL A6). */
const cutOften = { UNDERSTUDY_GENERATION_EVENTS: '60', UNDERSTUDY_GENERATION_EVERY: '2s' };

interface Kills {
  all: number;
  /** A prompt was begun by the killed replica and not settled. */
  unsettled: number;
}

/** Kills replicas one after another, each time with another one ready, until told to stop; half of the kills are
 * aimed between a PUT's arrival at the proxy and its answer. */
async function killReplicas(world: Cluster, kills: Kills, done: AbortSignal): Promise<void> {
  for (let n = 0; !done.aborted; n += 1) {
    const started = performance.now();
    const victim = world.replica(n % world.replicas.length);
    await anotherIsReady(world, victim, done);
    if (done.aborted) return;
    const isAtAPut = n % 2 === 0 && (await atAPut(victim, n % 4 === 0 ? 'applied' : 'arrived', done));
    const begun = isAtAPut ? 1 : ((await victim.metric('understudy_begun_sources')) ?? 0);
    await victim.kill();
    kills.all += 1;
    if (begun > 0) kills.unsettled += 1;
    victim.launch();
    await pause(Math.max(0, KILL_EVERY_MS - (performance.now() - started)));
  }
}

/** True while a PUT of an answer stands between the replica and the homeserver; false soon when none comes. */
async function atAPut(victim: Replica, at: 'arrived' | 'applied', done: AbortSignal): Promise<boolean> {
  const stop = new AbortController();
  const isThere = await new Promise<boolean>((resolve) => {
    const over = setTimeout(resolve, 1500, false);
    done.addEventListener('abort', () => resolve(false), { once: true, signal: stop.signal });
    const hook = async (put: { path: string }) => {
      if (!put.path.includes('/send/m.room.message/')) return;
      clearTimeout(over);
      resolve(true);
      // Whoever asked is killed meanwhile; a PUT that is held here lands while another replica sends the same step.
      await pause(300);
    };
    if (at === 'applied') victim.proxy.onApplied(hook);
    else victim.proxy.onArrival(hook);
  });
  stop.abort();
  victim.proxy.onApplied(undefined);
  victim.proxy.onArrival(undefined);
  return isThere;
}

/** Resolves when the victim and another replica are ready. */
async function anotherIsReady(world: Cluster, victim: Replica, done: AbortSignal): Promise<void> {
  while (!done.aborted) {
    const ready = await Promise.all(world.replicas.map(isReady));
    if (ready[world.replicas.indexOf(victim)] === true && ready.filter((each) => each).length > 1) return;
    await pause(50);
  }
}

/** What the replicas' logs say: a count in memory goes with its process. */
const cutsOf = (world: Cluster): number =>
  world.replicas.flatMap(({ lines }) => lines).filter(({ text }) => text.includes('a generation was cut'))
    .length;

const isReady = async (replica: Replica) =>
  replica.isRunning && (await replica.page('/readyz'))?.status === 200;

test(
  '200 prompts over a minute, a replica killed every two seconds: each answered exactly once',
  { timeout: 900_000 },
  async () => {
    const world = await cluster({
      replicas: 3,
      proxies: true,
      agents: drill,
      settings: cutOften,
    });
    const rooms: string[] = [];
    for (let n = 0; n < ROOMS; n += 1) rooms.push(await world.room());
    await world.answered(120_000);

    const kills: Kills = { all: 0, unsettled: 0 };
    const stop = new AbortController();
    const killing = killReplicas(world, kills, stop.signal);
    const began = performance.now();
    const elapsed = () => performance.now() - began;
    const enough = (n: number) => n >= PROMPTS && elapsed() >= AT_LEAST_MS && kills.unsettled >= 15;
    for (let n = 0; !enough(n) && elapsed() < AT_MOST_MS; n += 1) {
      const room = rooms[n % ROOMS] ?? '';
      const wait = (Math.random() * 2.5).toFixed(1);
      await world.ask(room, (token) => `wait ${wait} ${token}`);
      const due = (n + 1) * (AT_LEAST_MS / PROMPTS) - elapsed();
      if (due > 0) await pause(due);
    }
    stop.abort();
    await killing;
    await world.answered(180_000);

    const raced = world.puts.raced().length;
    const cuts = cutsOf(world);
    const doubled = world.puts.duplicates().length;
    process.stdout.write(
      `${world.answers.length} prompts, ${kills.all} kills, ${kills.unsettled} of them with a prompt unsettled; ` +
        `${doubled} PUTs sent more than once, ${raced} of them by two replicas; ${cuts} generations cut\n`,
    );
    expect(kills.unsettled).toBeGreaterThanOrEqual(15);
    expect(raced).toBeGreaterThanOrEqual(1);
    expect(cuts).toBeGreaterThanOrEqual(1);
    expect(await world.problems()).toBe('');
    await world.watch('kills for a minute');
  },
);

everyRoomIsJudged();
