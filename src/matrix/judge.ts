import { randomUUID } from 'node:crypto';
import type { Log } from '../telemetry/log.js';
import { sleep, type Clock } from '../time/clock.js';
import { HomeserverError, type Homeserver } from './homeserver.js';

/** Nothing that anybody shows or answers. */
const TYPE = 'dev.understudy.probe';
const PAIRS = 20;
/** Waits for a homeserver that limits us, and outages in a row, before it is given up. */
const MOST_WAITS = 200;
const USUAL_WAIT_MS = 1_000;
const TIDY_MS = 15_000;

/** What 20 pairs of concurrent sends under one transaction id came to (PROTOCOL D9). */
export interface Judgement {
  outcome: 'atomic' | 'not_atomic';
  pairs: number;
  /** Pairs of which both stand in the room. */
  doubled: number;
}

export interface JudgeOptions {
  clock: Clock;
  log: Log;
  signal?: AbortSignal;
  /** After each pair. */
  onPair?: (done: number, of: number) => void;
}

/**
 * Puts the homeserver to the test over two ways to it that are one device: in a private room of its own, which is left
 * and forgotten afterwards. What the room shows is counted, and not what the answers say. A pair counts only when both
 * were taken at once, so one that was held up by a rate limit is made anew. Rejects with `HomeserverError`.
 */
export async function probeJudge(
  one: Homeserver,
  other: Homeserver,
  options: JudgeOptions,
): Promise<Judgement> {
  const { log, signal } = options;
  const room = await one.createRoom(
    { preset: 'private_chat', visibility: 'private', name: 'Understudy probe' },
    signal,
  );
  try {
    const sent = await sendPairs(room, [one, other], options);
    const shown = await countShown(room, one, signal);
    const doubled = sent.filter((pair) => (shown.get(pair) ?? 0) > 1).length;
    const lost = sent.filter((pair) => !shown.has(pair)).length;
    if (lost > 0) {
      throw new HomeserverError(
        'unreachable',
        `${lost} of ${sent.length} sends were taken and are not in the room`,
      );
    }
    return { outcome: doubled === 0 ? 'atomic' : 'not_atomic', pairs: sent.length, doubled };
  } finally {
    await tidy(room, one, log);
  }
}

async function sendPairs(
  room: string,
  ways: readonly Homeserver[],
  { clock, signal, onPair }: JudgeOptions,
): Promise<string[]> {
  const sent: string[] = [];
  let waits = 0;
  while (sent.length < PAIRS) {
    const pair = randomUUID();
    const ends = await Promise.allSettled(ways.map((way) => way.send(room, TYPE, pair, { pair }, signal)));
    const failed = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
    if (failed.length === 0) {
      sent.push(pair);
      onPair?.(sent.length, PAIRS);
      continue;
    }
    const hard = failed.find((error) => !(error instanceof HomeserverError) || !mayPass(error));
    waits += 1;
    if (hard !== undefined || waits > MOST_WAITS) throw hard ?? failed[0];
    const asked = failed.map((error) => (error as HomeserverError).detail.retryAfterMs ?? USUAL_WAIT_MS);
    await sleep(clock, Math.max(...asked), signal);
  }
  return sent;
}

const mayPass = ({ code }: HomeserverError): boolean => code === 'rate-limited' || code === 'unreachable';

/** Events of each pair in the room, by its name. */
async function countShown(room: string, way: Homeserver, signal?: AbortSignal): Promise<Map<string, number>> {
  const shown = new Map<string, number>();
  let from: string | undefined;
  do {
    const page = await way.messages(room, { dir: 'b', ...(from !== undefined && { from }) }, signal);
    for (const { type, content } of page.chunk) {
      const pair = content['pair'];
      if (type === TYPE && typeof pair === 'string') shown.set(pair, (shown.get(pair) ?? 0) + 1);
    }
    from = page.chunk.length === 0 ? undefined : page.end;
  } while (from !== undefined);
  return shown;
}

/** A room that could not be left stands empty but for the bot, and is bound to nothing. */
async function tidy(room: string, way: Homeserver, log: Log): Promise<void> {
  const limit = AbortSignal.timeout(TIDY_MS);
  try {
    await way.leave(room, limit);
    await way.forget(room, limit);
  } catch (error) {
    log.warn({ err: error, room }, 'the room of a probe could not be left');
  }
}
