/**
 * What one writes by hand for the same promise on one machine: an XState actor each, its persisted snapshot in a file
 * of its own, written beside it and renamed over it after every event.
 */
import { open, rename } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createActor } from 'xstate';
import { conversation, eventAfter, stateAfter } from './actor-machine.mjs';
import { cpuMsSince, memoryMb, moving } from './actors-in-flight.mjs';
import { serve, sharedNow } from './serve.mjs';

let dir;
let durable = true;
let sent = 0;
const actors = [];
const turns = [];

const fileOf = (index) => join(dir, `${index}.json`);

async function save(index) {
  const draft = `${fileOf(index)}.draft`;
  const file = await open(draft, 'w');
  try {
    await file.writeFile(JSON.stringify(actors[index].getPersistedSnapshot()));
    if (durable) await file.datasync();
  } finally {
    await file.close();
  }
  await rename(draft, fileOf(index));
  if (!durable) return;
  const folder = await open(dir, 'r');
  try {
    await folder.datasync();
  } finally {
    await folder.close();
  }
}

async function send(index, before) {
  sent += 1;
  actors[index].send({ ...eventAfter(before), id: `$${sent}`, ts: Date.now() });
  await save(index);
}

serve({
  async create({ dir: given, actors: count, events: taken }) {
    dir = given;
    durable = false;
    for (let index = 0; index < count; index += 1) {
      actors.push(createActor(conversation).start());
      turns.push(0);
      for (; turns[index] < taken; turns[index] += 1) {
        actors[index].send({ ...eventAfter(turns[index]), id: `$${turns[index]}`, ts: Date.now() });
      }
    }
    await moving({ actors: count, inFlight: 64, count, turns: [...turns], send: save });
  },
  durable({ on }) {
    durable = on;
  },
  move: (plan) => moving({ ...plan, turns, send }),
  /** Reads all files and starts all actors; synchronously, which is the faster way. */
  async restore({ dir: given, actors: count, events: taken }) {
    dir = given;
    const before = memoryMb();
    const start = sharedNow();
    const cpu = process.cpuUsage();
    for (let index = 0; index < count; index += 1) {
      const snapshot = JSON.parse(readFileSync(fileOf(index), 'utf8'));
      const actor = createActor(conversation, { snapshot }).start();
      if (JSON.stringify(actor.getSnapshot().value) !== stateAfter(taken)) {
        throw new Error(`actor ${index} is not as it was left`);
      }
      actors.push(actor);
    }
    const ms = sharedNow() - start;
    const cpuMs = cpuMsSince(cpu);
    const after = memoryMb();
    return { ms, cpuMs, rssMb: after.rssMb - before.rssMb, heapMb: after.heapMb - before.heapMb };
  },
});
