import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import * as A from '@automerge/automerge';
import { expect, test } from 'vitest';
import { cluster, type Cluster } from '../world/cluster.js';
import { drill, sameHeads, struckMidRun } from '../world/inside.js';
import { everyRoomIsJudged } from '../world/watch.js';
import { contentsOf, everythingIn, holds } from './stored.js';

const newCanary = (): string => `canary${randomBytes(12).toString('hex')}`;

/** Where any of these texts stands in the folders of the replicas and relays. */
async function found(world: Cluster, texts: readonly string[]): Promise<{ where: string; text: string }[]> {
  const folders = [...world.replicas.map(({ dir }) => dir), ...world.relays.map(dataDirOf)];
  const places: { where: string; text: string }[] = [];
  for (const folder of folders) {
    for await (const { where, bytes } of everythingIn(folder)) {
      for (const text of texts)
        if (holds(bytes, text)) places.push({ where: `${basename(folder)}: ${where}`, text });
    }
  }
  return places;
}

const dataDirOf = ({ settings }: Cluster['relays'][number]): string =>
  (settings as Record<string, string>)['UNDERSTUDY_DATA_DIR'] ?? '';

test('the search finds a text in a value, a key, a message and a deleted value, deflated or not', () => {
  const text = newCanary();
  const long = `${'long '.repeat(2000)}${text}`;
  let document = A.from<Record<string, unknown>>({});
  const changed = (edit: (draft: Record<string, unknown>) => void, message = '') => {
    document = A.change(document, { message }, edit);
    const change = A.getLastLocalChange(document);
    return change && [...contentsOf('it', change)].some(({ bytes }) => holds(bytes, text));
  };
  expect(changed((draft) => (draft['a'] = new A.ImmutableString(text)))).toBe(true);
  expect(changed((draft) => (draft[text] = 1))).toBe(true);
  expect(changed((draft) => (draft['b'] = 1), text)).toBe(true);
  expect(changed((draft) => (draft['c'] = new A.ImmutableString(long)))).toBe(true);
  expect(changed((draft) => delete draft['a'])).toBe(false);
  const history = A.getAllChanges(A.load<Record<string, unknown>>(A.save(document)));
  const places = history.flatMap((change) => [...contentsOf('it', change)]);
  expect(places.filter(({ bytes }) => holds(bytes, text)).length).toBeGreaterThanOrEqual(4);
});

test(
  'what people and agents say stands in no document, in no change of its history, and in no log: only in delivery journals',
  { timeout: 900_000 },
  async () => {
    const world = await cluster({ replicas: 2, agents: drill, patience: '500ms' });
    const canaries: string[] = [];
    const canary = () => {
      const text = newCanary();
      canaries.push(text);
      return text;
    };
    const room = await world.room();
    await world.ask(room, (token) => `say ${canary()} ${token}`);
    await world.ask(room, (token) => `stream 30 ${canary()} ${token}`);
    await world.ask(room, (token) => `size 40000 ${canary()} ${token}`, { parts: 'several' });
    await world.command(room, `!agent ${canary()}`, 'no agent');
    await world.answered();
    await world.command(room, `!${'unheard'} ${canary()}`, 'no command');
    await world.command(room, `!status ${canary()}`, 'Usage: !status');
    await world.answered();

    const { owner } = await struckMidRun(world, room, {
      prompt: (seconds, token) => `wait ${seconds} stream 10 ${canary()} ${token}`,
      strike: (replica) => replica.kill(),
      mend: (replica) => replica.start(),
    });
    await world.answered();
    await owner.start();

    await Promise.all(world.replicas.map((replica) => replica.kill()));
    const last = await world.ask(room, (token) => `say ${canary()} ${token}`);
    await Promise.all(world.replicas.map((replica) => replica.start()));
    await world.answered();
    expect(await world.problems()).toBe('');
    await sameHeads(world);
    await Promise.all(world.replicas.map((replica) => replica.stop()));
    await Promise.all(world.relays.map((relay) => relay.stop()));

    const places = await found(world, canaries);
    expect(places.filter(({ where }) => !where.endsWith('delivery.journal'))).toEqual([]);
    for (const process of [...world.replicas, ...world.relays]) {
      const said = process.lines.filter(({ text }) => canaries.some((one) => text.includes(one)));
      expect(said.map(({ text }) => text)).toEqual([]);
    }
    // The search sees what the documents do hold: the prompt's own id, on both replicas and the relay.
    const ids = await found(world, [last.prompt]);
    const folders = new Set(
      ids.filter(({ where }) => where.includes('change')).map(({ where }) => where.split(':')[0]),
    );
    expect(folders).toEqual(new Set(['relay-0', 'replica-0', 'replica-1']));
    await world.watch('canaries');
  },
);

everyRoomIsJudged();
