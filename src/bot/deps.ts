import type { OwnMessageStores } from './addressing/own-messages.js';
import type { StrangersPolicy } from './addressing/strangers.js';
import type { EditPolicy } from './edits.js';
import type { QuestionStores } from './persistent-state.js';
import type { InvitesPolicy } from './invites.js';
import type { Homeserver } from '../matrix/homeserver.js';
import type { PlatformClient } from '../platform/client.js';
import type { Channel } from '../sync/channel.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import type { JournalEntry, JournalState } from './journal.js';
import type { State } from './records.js';
import type { Threads } from './surface/threads.js';

/** What one replica's bot stands on. */
export interface BotDeps {
  homeserver: Homeserver;
  channel: Channel;
  state: State;
  platform: PlatformClient;
  journal: { readonly state: JournalState; append(entries: JournalEntry[]): Promise<void> };
  /** What is remembered of our own messages. */
  ownMessages: OwnMessageStores;
  /** What is remembered of questions that wait for people. */
  questions: QuestionStores;
  clock: Clock;
  log: Log;
  /** Counts what happened, for /metrics. */
  happened?: (event: string, outcome: string) => void;
  /** How long a step took, milliseconds, for /metrics. */
  took?: (step: string, ms: number) => void;
}

export interface BotSettings {
  /** Our own mxid. */
  self: string;
  clusterId: string;
  version: string;
  leaseMs: number;
  heartbeatMs: number;
  patienceMs: number;
  prefix: string;
  /** Who may talk to the bot. */
  allowed: (mxid: string) => boolean;
  /** What the others hear. */
  strangers: StrangersPolicy;
  invites: InvitesPolicy;
  onEdit: EditPolicy;
  /** What rooms that say nothing of it do with threads. */
  threads: Threads;
  /** Rooms in which every message is for the bot. */
  alwaysRooms: (room: string) => boolean;
  /** Who may use what is for admins. */
  isAdmin: (mxid: string) => boolean;
  /** Ms without an answer after which a placeholder shows; Infinity: never. */
  placeholderAfterMs: number;
  /** The placeholder's edits show what the agent has said so far. */
  streaming: boolean;
  /** Such edits a second, of all answers over all replicas together. */
  editsPerSecond: number;
  /** Length of a long poll, ms. */
  pollMs: number;
  /** The outermost conditions of O1 and D6: documents in sync, the right device. Undefined: fine. */
  obstacle: () => string | undefined;
}
