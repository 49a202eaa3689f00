import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { isAnswered, isSaid, judge, tell, type Case } from './judge.js';
import type { TimelineEvent } from './matrix-http.js';
import type { Person } from './person.js';

interface Watch {
  name: string;
  /** Resolves to what went wrong in words, empty when nothing did. */
  verdict: Promise<string>;
}

const watches: Watch[] = [];
/** This file has a test that reports them. */
let isReported = false;

/** How long a room is watched for messages that should not come, after its last expected answer. */
const WATCH_MS = 10_000;
/** That, and reading every room of the file's last tests on a busy machine. */
const SETTLE_MS = 240_000;

/** Waits until everything expected stands in its room; rejects with what is still missing or wrong. */
export async function untilAnswered(
  reader: Person,
  { bot, answers, messages = [] }: Case,
  deadlineMs = 120_000,
): Promise<void> {
  const until = performance.now() + deadlineMs;
  const left = () => Math.max(until - performance.now(), 1);
  const rooms = new Set([...messages, ...answers].map(({ room }) => room));
  for (const room of rooms) {
    // What is still missing, as of the last look at the room.
    let missing = '';
    const isWhole = (history: TimelineEvent[]): boolean => {
      const unsaid = messages.find((one) => one.room === room && !isSaid(history, bot, one));
      const open = answers.find((one) => one.room === room && !isAnswered(history, bot, one));
      missing = unsaid !== undefined ? String(unsaid.text) : `the answer to ${open?.token}`;
      return unsaid === undefined && open === undefined;
    };
    await reader.until(room, () => missing, isWhole, left());
  }
}

/** Reads the rooms of a case now, and any others given, and judges them. */
export async function judgeNow(
  reader: Person,
  { rooms = [], ...of }: Case & { rooms?: string[] },
): Promise<string> {
  const all = new Set([
    ...rooms,
    ...of.answers.map((one) => one.room),
    ...(of.messages ?? []).map((one) => one.room),
  ]);
  const histories = new Map<string, Awaited<ReturnType<Person['history']>>>();
  for (const room of all) histories.set(room, await reader.history(room));
  const problems = judge(histories, of);
  return problems.length === 0 ? '' : tell(problems);
}

/**
 * Goes on watching while the next tests run: after {@link WATCH_MS} `problems` says what is wrong (nothing: an empty
 * text), then `release` lets go of the bot that was watched. The file's `everyRoomIsJudged` test reports it.
 */
export function watchInBackground(
  name: string,
  problems: () => Promise<string>,
  release: () => Promise<void>,
): void {
  if (!isReported) throw new Error('a file that watches rooms ends with everyRoomIsJudged()');
  const look = async () => {
    try {
      await pause(WATCH_MS);
      return await problems();
    } catch (error) {
      return `could not be judged: ${(error as Error).message}`;
    } finally {
      await release();
    }
  };
  watches.push({ name, verdict: look() });
}

/** To be called last in every file that watches rooms: the test that reports what became of them. */
export function everyRoomIsJudged(): void {
  isReported = true;
  test(
    'nothing doubled, missing or unexplained in any room, 10 s after its last answer',
    { timeout: SETTLE_MS },
    settle,
  );
  // A filter may have left that test out; what was watched must not go unreported or be left running.
  afterAll(settle, SETTLE_MS);
}

async function settle(): Promise<void> {
  const settled = await Promise.all(
    watches.splice(0).map(async ({ name, verdict }) => ({ name, problems: await verdict })),
  );
  expect(settled.filter(({ problems }) => problems !== '')).toEqual([]);
}
