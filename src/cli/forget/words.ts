import type { ForgetAnswer } from '../../node/erasure/questions.js';

/** What of a person remains somewhere, and until when: said, because it cannot go now. */
export interface Remaining {
  where: string;
  until: string;
}

type Status = ForgetAnswer['status'];

export function remainsIn(
  status: Status,
  { earlier, isRunning }: { earlier: number; isRunning: boolean },
): Remaining[] {
  const some: Remaining[] = [];
  const add = (where: string, until: string): void => void some.push({ where, until });
  if (!isRunning)
    add('the other replicas, the history and the platform', 'a replica runs on this folder and reaches them');
  else {
    if (status.at_a_relay === false)
      add('the other replicas', 'a relay is in reach: this replica alone knows that the person is forgotten');
    if (status.shards.length > 0)
      add(
        `the history of ${status.shards.length} shards (${status.shards.join(', ')})`,
        'they are cut, which is tried every minute',
      );
    if (status.contexts.owed > 0)
      add(`${status.contexts.owed} contexts at the platform`, 'it answers: they are asked for until then');
  }
  add(
    'replicas that are off',
    'they run again, and do the same by themselves; a cut-off generation stays on disk until all have moved',
  );
  if (earlier > 0)
    add(
      `audit documents of ${earlier} earlier generations, on replicas and relays`,
      'their files are removed: see docs/erasure.md',
    );
  add(
    'the history inside routing documents, which have one generation for ever',
    'the cluster is made anew: see docs/erasure.md',
  );
  add('backups made before', 'they are pruned: the last 10 are kept, or remove them now');
  add('the homeserver: rooms, what was said, the ledger in the person’s space', 'its operator removes them');
  return some;
}

export function wouldLines(user: string, { found, status }: ForgetAnswer): string[] {
  const { rooms } = found;
  const before = status.forgotten_at;
  return [
    `${user}: ${found.user ? 'known' : 'no record of the person'}, ${rooms.length} rooms, ${found.chats} chats, ${found.actor_records} records of actors, ${found.contexts} contexts at the platform`,
    ...rooms.map(({ room, name }) => `  ${room}${name === null ? '' : `  ${name}`}`),
    ...(before === null ? [] : [`forgotten before, at ${new Date(before).toISOString()}`]),
  ];
}

export function resultLines(
  user: string,
  { found, status }: ForgetAnswer,
  remaining: readonly Remaining[],
): string[] {
  const isNew = found.user || found.rooms.length + found.chats + found.actor_records > 0;
  return [
    isNew
      ? `✓ ${user} is forgotten: ${found.rooms.length} rooms, ${found.chats} chats, ${found.actor_records} records of actors`
      : `✓ ${user} is forgotten: nothing of them was left in the records here`,
    `  ${status.contexts.deleted} of ${status.contexts.deleted + status.contexts.owed} contexts are deleted at the platform; ${status.session_logs} session logs went here since this replica runs`,
    '  what remains:',
    ...remaining.map(({ where, until }) => `  · ${where}, until ${until}`),
  ];
}
