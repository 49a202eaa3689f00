import type { Homeserver } from '../../../matrix/homeserver.js';
import type { Recorder } from '../../actors/recorder.js';
import type { Outbox } from '../../outbox.js';
import { type Records, roomKey } from '../../records.js';
import { ARCHIVED_TYPE, archivedBy, type DerivedState, isArchived } from '../derived.js';
import { notice } from '../texts.js';
import type { Run } from './command.js';
import { NO_CHAT } from './rename.js';

/**
 * `!archive`: the room says it first, so that it stays archived when the records are lost; then the record; then the
 * space (PROTOCOL P3). The bot stays, and tells whoever writes there.
 */
export function archiveCommand(deps: {
  homeserver: Homeserver;
  outbox: Outbox;
  records: Records;
  recorder: Recorder;
  derived: DerivedState;
  self: string;
  prefix: string;
}): Run {
  return async ({ room, cause, signal, fresh }) => {
    const { homeserver, outbox, records, recorder, derived, self, prefix } = deps;
    const record = records.room(room);
    if (record?.room_type !== 'chat') return notice(`${NO_CHAT} Leave it, or let me go.`);
    const state = await homeserver.roomState(room, signal);
    // By the room too: its record may have been made again from what it says.
    const isOwn = [records.standing(room, 'archived')?.cause, archivedBy(state, self)].includes(cause.id);
    if (record.archived && !isOwn) return notice('This chat is archived already.');
    if (!isArchived(state, self)) {
      fresh();
      await outbox.state(room, ARCHIVED_TYPE, '', { source: cause.id }, signal);
    }
    fresh();
    const archived = { kind: 'room', key: roomKey(room), fields: { archived: true } } as const;
    await records.write([archived, ...recorder.closed(room, cause)], cause);
    fresh();
    await derived.write(room, signal);
    return notice(
      `${record.chat_id ?? 'This chat'} is archived. ${prefix}branch goes on from it in a new chat.`,
    );
  };
}
