import type { Sender } from '../sync/channel.js';
import type { Cancel, Clock } from '../time/clock.js';
import type { Log } from '../telemetry/log.js';
import type { Cause, Write } from '../documents/write.js';
import { isNewerSchema } from '../documents/errors.js';
import { kinds, type RecordOf } from '../documents/schemas/kinds.js';

const DAY_MS = 24 * 60 * 60_000;
const LOOK_MS = 60 * 60_000;

export interface MembershipContext {
  self: Sender;
  clock: Clock;
  log: Log;
  /** The highest schema that this software knows. */
  schema: number;
  read(key: string): RecordOf<'member'> | undefined;
  change(writes: Write[], cause: Cause): Promise<void>;
}

/** Registers this replica among the members, and keeps its last sign of life at most a day old. */
export async function register(context: MembershipContext): Promise<Cancel> {
  const { self, clock, log, schema } = context;
  const key = kinds.member.prefix + self.replica;
  const write = async (): Promise<void> => {
    const now = clock.now();
    const known = context.read(key);
    const seenToday = known?.last_seen_at !== undefined && now - known.last_seen_at < DAY_MS;
    const fields = {
      incarnation: self.incarnation,
      schema,
      ...(known?.joined_at === undefined && { joined_at: now }),
      ...(!seenToday && { last_seen_at: now }),
    };
    await context.change([{ kind: 'member', key, fields }], { id: `start:${self.incarnation}`, ts: now });
  };
  try {
    await write();
  } catch (error) {
    if (!isNewerSchema(error)) throw error;
    // It goes on as a reader: what it says of itself would be written where it may not write.
    log.error({ err: error }, 'this replica is not registered: the cluster is of a newer release');
  }
  return clock.every(LOOK_MS, () => {
    write().catch((error: unknown) => {
      if (!isNewerSchema(error)) log.error({ err: error }, 'the member record could not be renewed');
    });
  });
}
