import type { Records } from '../records.js';
import { roomKey } from '../records.js';

/** Whether a room's every message is for the bot, or those that address it. */
export type Answers = 'always' | 'mentioned';

/**
 * What rooms are set to. The room's record decides, so that all replicas judge alike; the configuration sets the records, at a
 * start and when a room is bound.
 */
export class RoomAnswers {
  constructor(
    private readonly deps: {
      records: Records;
      /** The rooms that the configuration names. */
      always: (room: string) => boolean;
    },
  ) {}

  of(room: string): Answers {
    return this.deps.records.room(room)?.answers ?? this.configured(room);
  }

  configured(room: string): Answers {
    return this.deps.always(room) ? 'always' : 'mentioned';
  }

  /** Sets the records of the rooms that the configuration names, and of those that it names no more. */
  async configure(): Promise<void> {
    const { records } = this.deps;
    for (const [key] of records.state.entries('room')) {
      const room = key.slice(roomKey('').length);
      const answers = this.configured(room);
      if ((records.room(room)?.answers ?? 'mentioned') === answers) continue;
      await records.write([{ kind: 'room', key, fields: { answers } }], { id: 'configuration' });
    }
  }
}
