import * as A from '@automerge/automerge';
import { describe, expect, it } from 'vitest';
import type { FieldMap } from '../../src/documents/record.js';
import type { StateNode } from '../../src/index.js';
import type { OpenDocument } from '../../src/node/open-documents.js';
import { eventually, relay } from '../node/world.js';
import { currentActors } from './current-actors.js';
import { foreignAt, Hand } from './hand.js';
import { Replica } from './release.js';

const ACTOR = 'm/!r1:x';
const note = (value: string): FieldMap => new Map([['note', { value, stamp: 7, cause: '$later' }]]);
const isFounded = ({ handle }: { handle: { doc(): Record<string, unknown> } }) =>
  handle.doc()['schema'] === 1;
const send = (node: StateNode, id: string) =>
  node.actors.send(ACTOR, { type: 'NOTE' }, { cause: { id, ts: Date.now() } });
const cut = (node: StateNode) => node.cutIfDue({ mayCut: () => true });

/** It has every change of the document. */
const holds = (node: StateNode, document: OpenDocument): boolean =>
  node
    .heads()
    .some(
      ({ id, heads }) =>
        id === document.id && heads.join() === A.getHeads(document.handle.doc()).sort().join(),
    );

describe('what only a later release knows', () => {
  it('V-foreign: records of other kinds, and members of the document, go into the next generation', async () => {
    const hub = await relay();
    const one = await Replica.start('one', hub, { found: true });
    await send(one.node, '$1');
    const hand = new Hand(hub.url);
    const document = await hand.open(currentActors(one.node), isFounded);
    const at = { map: 'tasks', key: 'note:x' };
    const beside = { map: 'marks', key: 'flag:x' };
    hand.put(document, at, note('kept'));
    hand.put(document, beside, note('too'));
    hand.edit(document, (draft) => void (draft['colour'] = 'blue'));
    await eventually(() => holds(one.node, document));
    expect(await cut(one.node)).toBe(1);
    const next = await hand.open(currentActors(one.node), (found) => foreignAt(found, at) !== undefined);
    expect(foreignAt(next, at)?.get('note')?.value).toBe('kept');
    expect(foreignAt(next, beside)?.get('note')?.value).toBe('too');
    expect(next.handle.doc()['colour']).toBe('blue');
    hand.close();
    await one.close();
  });

  it('V-late: comes along when it was written to a generation that had been cut already', async () => {
    const hub = await relay();
    const one = await Replica.start('one', hub, { found: true });
    // A member that never moves keeps the generation before open.
    await one.node.change(
      [{ kind: 'member', key: 'member:away', fields: { joined_at: 1, last_seen_at: Date.now() } }],
      { id: '$m' },
    );
    await send(one.node, '$1');
    const hand = new Hand(hub.url);
    const before = await hand.open(currentActors(one.node), isFounded);
    expect(await cut(one.node)).toBe(1);
    const at = { map: 'tasks', key: 'note:x' };
    hand.put(before, at, note('late'));
    const next = await hand.open(currentActors(one.node), (found) => foreignAt(found, at) !== undefined);
    expect(foreignAt(next, at)?.get('note')?.value).toBe('late');
    expect(one.node.counters().generations.late).toBe(1);
    hand.close();
    await one.close();
  });

  it('V-base: members of a base, and fields beside it, go through every later cut', async () => {
    const hub = await relay();
    const one = await Replica.start('one', hub, { found: true });
    await send(one.node, '$1');
    expect(await cut(one.node)).toBe(1);
    const hand = new Hand(hub.url);
    const at = { map: 'base', key: `base:${ACTOR}` };
    const document = await hand.open(currentActors(one.node), (found) => foreignAt(found, at) !== undefined);
    const base = foreignAt(document, at)!.get('base')!;
    hand.put(
      document,
      at,
      new Map([...note('beside'), ['base', { ...base, value: { ...(base.value as object), hue: 'red' } }]]),
    );
    await send(one.node, '$2');
    await eventually(
      () => (one.node.read('base', at.key)?.base as { hue?: string } | undefined)?.hue === 'red',
    );
    expect(await cut(one.node)).toBe(1);
    const next = one.node.provenance('base', at.key)!;
    expect((next['base']!.value as { hue?: string }).hue).toBe('red');
    expect(next['note']?.value).toBe('beside');
    expect((one.node.actors.snapshot(ACTOR).context as { ids: string[] }).ids).toEqual(['$1', '$2']);
    hand.close();
    await one.close();
  });

  it('V-audit: members of an event, and fields beside it, stand in the archive of the generation that was cut', async () => {
    const hub = await relay();
    const one = await Replica.start('one', hub, { found: true });
    await send(one.node, '$1');
    const hand = new Hand(hub.url);
    const at = { map: 'events', key: `event:${ACTOR} $2` };
    const document = await hand.open(currentActors(one.node), isFounded);
    const stamp = Date.now();
    const event = { value: { type: 'NOTE', ts: stamp, mood: 'good' }, stamp, cause: '$2' };
    hand.put(document, at, new Map([...note('beside'), ['event', event]]));
    await eventually(() => one.node.read('event', at.key) !== undefined);
    expect((one.node.actors.snapshot(ACTOR).context as { ids: string[] }).ids).toEqual(['$1', '$2']);
    expect(await cut(one.node)).toBe(1);
    const history = await one.node.history(ACTOR);
    expect(history.entries.map(({ event: { id } }) => id)).toEqual(['$1', '$2']);
    expect(history.entries[1]).toMatchObject({
      unknown: { event: { mood: 'good' }, fields: { note: { value: 'beside' } } },
    });
    hand.close();
    await one.close();
  });

  it('V-keyed: fields of an entry stay through registering again, consuming, and the other replica', async () => {
    const hub = await relay();
    const [one, two] = [
      await Replica.start('one', hub, { found: true }),
      await Replica.start('two', hub, {}),
    ];
    one.keyed.register('k', 'v');
    await eventually(() => two.keyed.lookup('k') === 'v');
    const hand = new Hand(hub.url);
    const index = Math.floor(Date.now() / (6 * 3600_000));
    const window = two.node.heads().find(({ name }) => name.startsWith(`keyed/${index}.`))!;
    const cutName = window.name.slice(`keyed/${index}.`.length);
    const at = { map: 'entries', key: 'keyed:votes 1 k' };
    const document = await hand.open(
      { kind: 'keyed', index, generation: 0, cut: cutName },
      (found) => foreignAt(found, at) !== undefined,
    );
    hand.put(document, at, new Map([...foreignAt(document, at)!, ...note('beside')]));
    await eventually(() => holds(one.node, document) && holds(two.node, document));
    one.keyed.register('k', 'w');
    await eventually(() => two.keyed.lookup('k') === 'w');
    expect(two.keyed.consume('k')).toBe('w');
    await eventually(() => one.keyed.lookup('k') === undefined);
    await eventually(() => foreignAt(document, at)?.get('entry') === undefined);
    expect(foreignAt(document, at)?.get('note')?.value).toBe('beside');
    hand.close();
    await one.close();
    await two.close();
  });
});
