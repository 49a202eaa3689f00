import { z } from 'zod';
import type { Json } from '../documents/json.js';
import type { Stamp } from '../documents/stamp.js';
import type { ActorLog } from './log.js';
import type { Machine } from './machines.js';
import { type Active, stateValue } from './position.js';

/** When an actor that is over leaves the hot documents (REQUIREMENTS R3); its history stays in the audit documents. */
export interface ArchiveRule {
  /** Milliseconds since its last event. */
  readonly afterMs: number;
  /** Top-level states in which an actor is over, beside the machine's final ones. */
  readonly states?: readonly string[];
}

/** A member that is away longer is retired, and brings no event that must find a mark (PROTOCOL, Words). */
const MARK_MS = 7 * 24 * 3600_000;

/**
 * Stands for the base of an actor that left, so that an event that comes late does not begin it anew: under 100
 * bytes, and gone at the first cut a week later.
 */
const archiveMark = z.object({
  /** Time of the cut at which it left, or at which an event for it came last. */
  archived: z.number().nonnegative(),
  hash: z.literal('archived'),
  /** The highest stamp that it took in. */
  stamp: z.int().nonnegative(),
  version: z.int().min(1),
});
export type ArchiveMark = z.output<typeof archiveMark>;

export function readArchiveMark(base: Json | undefined): ArchiveMark | undefined {
  return archiveMark.safeParse(base).data;
}

/**
 * What a cut leaves of an actor instead of its base: a mark, or null for nothing; undefined where it is not over.
 * Whatever is still to do keeps it.
 *
 * @param isDone of an effect, by its id.
 * @param at time of the cut, milliseconds.
 * @param isWhole nothing of earlier generations comes late any more; until then a mark stays.
 */
export function archivedBase(
  log: ActorLog,
  isDone: (effect: string) => boolean,
  at: number,
  isWhole: boolean,
): ArchiveMark | null | undefined {
  const position = log.position();
  const stamp = Math.max(log.top ?? 0, log.base?.stamp ?? 0);
  if (position.status === 'archived') {
    const { version, since } = position;
    if (log.events.length > 0) return mark(at, stamp, version);
    return isWhole && at - since > MARK_MS ? null : mark(since, stamp, version);
  }
  if (position.status !== 'active' || !isOver(position) || !isOld(position.machine, stamp, at))
    return undefined;
  for (const { id } of log.effects()) if (!isDone(id)) return undefined;
  return mark(at, stamp, position.machine.version);
}

const mark = (archived: number, stamp: Stamp, version: number): ArchiveMark => ({
  archived,
  hash: 'archived',
  stamp,
  version,
});

function isOver(position: Active): boolean {
  if (position.timers.size > 0) return false;
  const value = stateValue(position);
  const { states = [] } = position.machine.archive ?? {};
  return position.snapshot.status === 'done' || (typeof value === 'string' && states.includes(value));
}

const isOld = ({ archive }: Machine, stamp: Stamp, at: number): boolean =>
  archive !== undefined && stamp < at - archive.afterMs;
