import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { compiledChildren, startChild, type Child } from '../storage/children/build.js';
import { deadline, isSoak, say } from './time.js';

const children = compiledChildren('test/soak/children', ['saver']);
const WRITERS = 8;

interface Opened {
  ms: number;
  numbers: number[];
  items: number;
}

interface Figures {
  rss: number;
  heapUsed: number;
  fds: number;
  refused: number;
  errors: number;
  cuts: number;
  pending: number;
  latencies: number[];
}

/** What was begun and what was acknowledged, over all processes. */
class Ledger {
  readonly begun = new Map<string, number>();
  readonly saved = new Map<string, number>();
  /** Of all processes, of those before the present one. */
  items = { begun: 0, saved: 0 };
  acknowledged = 0;

  hear(line: string): void {
    const [verb, room = '', n] = line.split(' ');
    if (verb !== 'begun' && verb !== 'saved') return;
    if (verb === 'saved') this.acknowledged += 1;
    if (room === 'items') this.items[verb] += 1;
    else (verb === 'begun' ? this.begun : this.saved).set(room, Number(n));
  }

  /** Everything acknowledged is there, and nothing that was never begun. */
  check({ numbers, items }: Opened, at: string): void {
    for (const [room, n] of numbers.entries()) {
      expect(n, `${at}: room ${room}`).toBeGreaterThanOrEqual(this.saved.get(String(room)) ?? 0);
      expect(n, `${at}: room ${room}`).toBeLessThanOrEqual(this.begun.get(String(room)) ?? 0);
    }
    expect(items, `${at}: events`).toBeGreaterThanOrEqual(this.items.saved);
    expect(items, `${at}: events`).toBeLessThanOrEqual(this.items.begun);
    // What was begun and is not there will never be: from here on only what comes is counted.
    this.items = { begun: items, saved: items };
  }
}

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.floor(sorted.length * share)] ?? 0;

/** Slope of the line through points, by least squares. */
function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (axis: 0 | 1) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const over = points.reduce((sum, [px, py]) => sum + (px - x) * (py - y), 0);
  return over / points.reduce((sum, [px]) => sum + (px - x) ** 2, 0);
}

const MB = 2 ** 20;

it('save load: what was acknowledged is there after every kill, and nothing else grows', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'understudy-soak-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));
  const until = deadline(Infinity);
  const ledger = new Ledger();
  const all: number[] = [];
  const opens: number[] = [];
  /** Of the process that ran longest: seconds and megabytes. */
  let longest: [number, number][] = [];
  const counts = { kills: 0, ends: 0, refused: 0, errors: 0, cuts: 0, fds: 0, files: 0 };
  const begin = performance.now();

  const tell = (now = false) => {
    const sorted = all.toSorted((a, b) => a - b);
    const seconds = (performance.now() - begin) / 1000;
    const later = longest.filter(([second]) => second > 10);
    say(
      'saves',
      {
        acknowledged: ledger.acknowledged,
        'a second': Math.round(ledger.acknowledged / seconds),
        p50: `${at(sorted, 0.5)} ms`,
        p99: `${at(sorted, 0.99)} ms`,
        p999: `${at(sorted, 0.999)} ms`,
        worst: `${sorted.at(-1) ?? 0} ms`,
        'kills -9': counts.kills,
        'ends by SIGTERM': counts.ends,
        'writes refused': counts.refused,
        'errors logged': counts.errors,
        cuts: counts.cuts,
        'start p50': `${at(
          opens.toSorted((a, b) => a - b),
          0.5,
        )} ms`,
        'start worst': `${Math.max(0, ...opens)} ms`,
        'memory (RSS)': `${Math.round(longest.at(-1)?.[1] ?? 0)} MB`,
        'its slope':
          later.length > 20 ? `${Math.round(slope(later) * 3600)} MB/h over ${later.length} s` : 'too short',
        'most file descriptors': counts.fds,
        files: counts.files,
      },
      now,
    );
  };

  /** Runs until it is time to end it, in the long way; in the short one until it has saved something. */
  async function live(child: Child, forMs: number): Promise<void> {
    const end = Math.min(performance.now() + forMs, until);
    const enough = ledger.acknowledged + 100;
    const isOver = () => (isSoak ? performance.now() >= end : ledger.acknowledged >= enough);
    const points: [number, number][] = [];
    const from = performance.now();
    let last: Figures | undefined;
    for (let heard = 0; ;) {
      // Lines are taken away as they are heard: hours of them would be the test's own leak.
      for (const line of child.lines.splice(0)) {
        heard += 1;
        ledger.hear(line);
        if (!line.startsWith('figures ')) continue;
        last = JSON.parse(line.slice('figures '.length)) as Figures;
        for (const ms of last.latencies) all.push(ms);
        if (all.length > 2_000_000) all.splice(0, 1_000_000);
        counts.fds = Math.max(counts.fds, last.fds);
        points.push([(performance.now() - from) / 1000, last.rss / MB]);
        if (points.length > longest.length) longest = points;
      }
      tell();
      if (isOver()) break;
      expect(child.process.exitCode, `ended by itself after ${heard} lines`).toBeNull();
      await pause(200);
    }
    counts.refused += last?.refused ?? 0;
    counts.errors += last?.errors ?? 0;
    counts.cuts += last?.cuts ?? 0;
  }

  do {
    const child = startChild(children.path('saver'), [join(dir, 'data'), String(WRITERS), 'on']);
    const opened = JSON.parse((await child.line((line) => line.startsWith('open '))).slice(5)) as Opened;
    opens.push(opened.ms);
    ledger.check(opened, `after ${counts.kills} kills`);
    // One in five lives long enough to show what grows.
    const isLong = isSoak && counts.kills % 5 === 4;
    await live(child, (isLong ? 60_000 : 1_000) + Math.random() * 10_000);
    if (isSoak && Math.random() < 0.2) {
      child.process.kill('SIGTERM');
      const ended = await Promise.race([child.ended, pause(20_000).then(() => child.kill())]);
      if (ended === 0) counts.ends += 1;
    } else {
      await child.kill();
      counts.kills += 1;
    }
    for (const line of child.lines.splice(0)) ledger.hear(line);
    counts.files = (await readdir(dir, { recursive: true })).length;
  } while (isSoak ? performance.now() < until : counts.kills < 2);

  const child = startChild(children.path('saver'), [join(dir, 'data'), '0', 'off']);
  const opened = JSON.parse((await child.line((line) => line.startsWith('open '))).slice(5)) as Opened;
  ledger.check(opened, 'at the end');
  await child.kill();
  tell(true);
  expect(counts.kills + counts.ends).toBeGreaterThan(0);
  expect(ledger.acknowledged).toBeGreaterThan(0);
}, 86_400_000);
