import type { Records } from '../records.js';

/** Whether the threads of a room talk in the room's context, or each in its own (docs/decisions/0028). */
export type Threads = 'shared' | 'own';

/** What a context belongs to: a room, or a thread there that has its own. */
export interface Place {
  room: string;
  /** Event id of the thread's root. */
  thread: string | undefined;
}

/** What rooms are set to: the room's record decides, and where it says nothing, the configuration. */
export class RoomThreads {
  constructor(
    private readonly records: Pick<Records, 'room'>,
    private readonly configured: Threads,
  ) {}

  of(room: string): Threads {
    return this.records.room(room)?.threads ?? this.configured;
  }

  /** Whose context it is that a message in this thread, or outside of any, is about. */
  place(room: string, thread: string | undefined): Place {
    return { room, thread: this.of(room) === 'own' ? thread : undefined };
  }
}
