import { expect, it } from 'vitest';
import { ACTOR, OTHER, OwingWorld } from './owing-world.js';

const DAY = 24 * 60 * 60_000;
/** No actors document has that name. */
const RECORDS = 'records alone';

async function inWorld(body: (world: OwingWorld) => Promise<void>): Promise<void> {
  const world = new OwingWorld();
  try {
    await world.start();
    await body(world);
  } finally {
    world.close();
  }
}

/**
 * Two rival cuts: b, the earlier one, without an event of the actor; and a, in which the event counts and what it
 * asked for was done. The third replica knows of a what came after the cut alone, and goes over to b with that.
 * Gives the document of b.
 */
async function rivals(world: OwingWorld, type: 'RING' | 'WAIT'): Promise<string> {
  await world.send(1, OTHER, '$other');
  await world.cut(1);
  const b = world.reads(1);
  await world.send(0, ACTOR, '$event', type);
  await world.cut(0);
  const a = world.reads(0);
  await world.acts(0, 1500);
  await world.hear(0, 2, RECORDS);
  await world.hear(0, 2, a);
  expect(world.reads(2)).toBe(a);
  await world.hear(1, 2, RECORDS);
  await world.hear(1, 2, b);
  expect(world.reads(2)).toBe(b);
  return b;
}

it('A6-timer: one that fired before a rival cut, whose event comes after the next, fires again', () =>
  inWorld(async (world) => {
    await rivals(world, 'WAIT');
    await world.cut(2);
    await world.everybodyHears();
    for (const index of [0, 1, 2]) {
      expect(world.process(index).actors.snapshot(ACTOR)).toMatchObject({ value: 'waiting' });
    }
    await world.acts(0, 2000);
    await world.everybodyHears();
    for (const index of [0, 1, 2]) {
      expect(world.process(index).actors.snapshot(ACTOR)).toMatchObject({ value: 'rang' });
      expect(world.process(index).actors.pending()).toBe(0);
    }
  }));

it('A6-done: an effect whose event comes after the next cut is not carried out again', () =>
  inWorld(async (world) => {
    const b = await rivals(world, 'RING');
    expect(world.carried).toEqual(['$event']);
    await world.hear(2, 0, RECORDS);
    await world.hear(2, 0, b);
    expect(world.reads(0)).toBe(b);
    await world.everybodyHears(4, RECORDS);
    await world.send(2, ACTOR, '$note');
    await world.cut(2);
    await world.everybodyHears();
    await world.acts(0, 10_000);
    expect(world.carried).toEqual(['$event']);
  }));

it('A6-over: a late event does not found an actor anew that is over, however long all were away', () =>
  inWorld(async (world) => {
    await world.send(0, ACTOR, '$begin');
    await world.everybodyHears();
    await world.send(2, ACTOR, '$late', 'RING');
    world.at(2).kill();
    await world.send(0, ACTOR, '$stop', 'STOP');
    await world.pass(120_000);
    await world.cut(0);
    await world.hear(0, 1);
    await world.hear(1, 0);
    for (const index of [0, 1]) world.at(index).kill();
    await world.clock.advance(8 * DAY);
    for (const index of [0, 1]) await world.at(index).start();
    await world.send(0, OTHER, '$other');
    await world.cut(0);
    await world.hear(0, 1);
    await world.at(2).start();
    await world.everybodyHears();
    await world.acts(0, 10_000);
    expect(world.carried).toEqual([]);
    for (const index of [0, 1, 2]) {
      expect(world.process(index).actors.snapshot(ACTOR).status).toBe('archived');
    }
  }));
