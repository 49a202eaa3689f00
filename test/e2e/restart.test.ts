import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { askControl, controlPath } from '../../src/telemetry/control.js';
import { cluster, type Cluster, type Replica } from '../world/cluster.js';
import { atRest, field, fieldSoon, heads, records, sameHeads } from '../world/inside.js';
import type { Process } from '../world/process.js';
import { everyRoomIsJudged } from '../world/watch.js';

const startAll = async (processes: Process[]) => Promise.all(processes.map((process) => process.start()));

/** Everything that routing knows, as one replica holds it. */
const routing = async (world: Cluster) =>
  (
    await Promise.all(['matrix_user:', 'matrix_room:', 'chat:'].map((key) => records(world.replica(0), key)))
  ).flat();

async function wipeRelay(relay: Process): Promise<void> {
  await relay.kill();
  await rm(relay.settings['UNDERSTUDY_DATA_DIR']!, { recursive: true });
}

/** Whether a relay has on its disk each document that a replica has. */
async function hasStored(relay: Process, replica: Replica): Promise<boolean> {
  const { documents } = (await askControl(controlPath(replica.dir), 'heads')) as {
    documents: { id: string }[];
  };
  const folder = join(relay.settings['UNDERSTUDY_DATA_DIR']!, 'documents');
  return documents.every(({ id }) =>
    ['snapshot', 'incremental'].some((part) => existsSync(join(folder, id.slice(0, 2), id.slice(2), part))),
  );
}

test('restarted with the data folders kept: selected agent, room bindings and contexts are as they were', async () => {
  const world = await cluster({ replicas: 2 });
  const [room, other] = [await world.room(), await world.room()];
  await world.ask(other, undefined, { text: (token) => `echo #1: say ${token}` });
  await world.answered();
  await world.command(room, '!agent drill', 'now talks to Drill');
  await world.answered();
  await world.ask(room, undefined, { text: (token) => `drill #1: say ${token}` });
  await world.answered();
  await atRest(world);
  const before = await routing(world);
  for (const process of world.processes) expect(await process.stop()).toBe(0);

  await startAll([...world.relays, ...world.platforms]);
  await startAll(world.replicas);
  expect(await routing(world)).toEqual(before);
  await world.ask(room, undefined, { text: (token) => `drill #2: say ${token}` });
  await world.ask(other, undefined, { text: (token) => `echo #2: say ${token}` });
  // The choice counts for rooms that are new after the restart.
  const fresh = await world.room();
  await world.ask(fresh, undefined, { text: (token) => `drill #1: say ${token}` });
  await world.answered();
  await world.watch('restarted with everything kept');
});

test('one replica and the relay without their folders: both fill themselves from the other replica', async () => {
  const world = await cluster({ replicas: 2 });
  const room = await world.room();
  await world.ask(room, undefined, { text: (token) => `echo #1: say ${token}` });
  await world.answered();
  await sameHeads(world);
  const [kept, emptied] = [world.replica(0), world.replica(1)];
  await emptied.kill();
  await emptied.wipe();
  await wipeRelay(world.relays[0]!);
  await world.relays[0]!.start();
  // An empty relay that is asked before would say that there is no cluster.
  await world.alice.eventually('the other replica has filled the relay', () =>
    hasStored(world.relays[0]!, kept),
  );
  await emptied.start();
  // It was ready, so it held everything; from here on it is alone.
  const chat = await field(emptied, `matrix_room:${room}`, 'platform_chat_id');
  expect(chat).toEqual(expect.any(String));
  expect(chat).toBe(await field(kept, `matrix_room:${room}`, 'platform_chat_id'));
  await sameHeads(world);
  await kept.kill();
  await world.ask(room, undefined, { text: (token) => `echo #2: say ${token}` });
  await world.answered();
  await kept.start();
  await world.watch('one folder lost');
});

test('every folder of replicas and relay lost: onboarding begins again, what is said is answered in its room once', async () => {
  const world = await cluster({ replicas: 2 });
  const room = await world.room();
  await world.ask(room);
  await world.answered();
  const user = `matrix_user:${world.alice.userId}`;
  const space = await fieldSoon(world, world.replica(0), user, 'space_id');
  const rooms = await world.bot.joinedRooms();
  await Promise.all(world.replicas.map((replica) => replica.kill().then(() => replica.wipe())));
  await wipeRelay(world.relays[0]!);
  await world.relays[0]!.start();
  const lost = Date.now();
  await startAll(world.replicas);
  // What it may know of her again by now was found again since: the rooms tell it, after a while also unasked.
  const older = async (replica: Replica) =>
    (await records(replica, user)).flatMap(({ fields }) =>
      Object.values(fields).filter(({ stamp }) => stamp < lost),
    );
  expect(await older(world.replica(0))).toEqual([]);
  await world.ask(room);
  await world.answered();
  // The space was found by its alias, and the first chat room in its ledger.
  expect(await fieldSoon(world, world.replica(0), user, 'space_id')).toBe(space);
  expect((await world.bot.joinedRooms()).toSorted()).toEqual(rooms.toSorted());
  // Somebody new comes in as ever.
  await world.room();
  await world.answered();
  await world.watch('everything lost');
});

test('C5: an empty replica that reaches nobody creates nothing', async () => {
  const world = await cluster({ replicas: 1, started: 0, gates: true });
  const replica = world.replica(0);
  replica.cutOff();
  const room = await world.alice.createRoom({ invite: [world.bot.userId] });
  replica.launch();
  await replica.line(({ fields }) => fields?.['state'] === 'waiting-for-peers', { from: 0 });
  await world.alice.eventually('it has tried again and again', () =>
    Promise.resolve(replica.turnedAway >= 8),
  );
  expect(await world.bot.invitations()).toEqual([room]);
  expect(await world.bot.joinedRooms()).toEqual([]);
  expect(await world.alice.invitations()).toEqual([]);
  expect((await replica.page('/readyz'))?.status).toBe(503);
  // As soon as a relay can say that there is no cluster yet, it founds one, and takes up the invite.
  replica.rejoin();
  await replica.ready();
  await world.botIn(room);
  const invited = /^Hello! Your chat with me is here/;
  world.messages.push({ room, text: invited });
  await world.ask(room);
  await world.answered();
  expect(await heads(replica)).toContain('cluster');
  await world.watch('an empty replica alone');
});

everyRoomIsJudged();
