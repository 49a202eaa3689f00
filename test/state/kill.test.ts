import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openNode, openState } from '../../src/index.js';
import { compiledChildren, startChild } from '../storage/children/build.js';
import { scratchFolder } from '../storage/scratch.js';
import { seeded } from '../storage/random.js';
import { report } from './children/said.js';
import { heard } from './world.js';

const CLUSTER = 'cluster-of-killed-state';
const KILLS = 6;
const children = compiledChildren('test/state/children', ['state-child']);

const linesOf = async (dir: string): Promise<string[]> => {
  const text = await readFile(join(dir, 'sessions', 's.log'), 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line !== '');
};

it(`killed ${KILLS} times in the middle of tasks, logs, reports and snapshots: all acknowledged is there, and nothing torn`, async () => {
  const dir = join(await scratchFolder(), 'data');
  const random = seeded(11);
  const last = { task: 0, line: 0, report: 0, state: 0 };
  const acknowledged: number[] = [];
  for (let kill = 0; kill < KILLS; kill += 1) {
    const from = Math.max(...Object.values(last)) + 1;
    const child = startChild(children.path('state-child'), [dir, CLUSTER, String(from)]);
    const wanted = 3 + Math.floor(random() * 40);
    // Of each at least once in all: a disk may take one kind of file much later than another.
    const ofEach = () =>
      Object.entries(last).every(
        ([what, n]) => n > 0 || child.lines.some((line) => line.startsWith(`${what} `)),
      );
    await child.line(() => child.lines.length > wanted && (kill < KILLS - 1 || ofEach()));
    await child.kill();
    for (const line of child.lines) {
      const [what, n] = line.split(' ');
      if (what === 'line') acknowledged.push(Number(n));
      if (what !== undefined && what in last) last[what as keyof typeof last] = Number(n);
    }
    const node = await openNode({ clusterId: CLUSTER, dataDir: dir, relays: [], found: true, shards: 1 });
    const state = await openState(node, { dir, autosaveMs: 0 });
    const recovered = heard(state, 'state:recovered');
    const { tasks, last_saved } = await state.loadState();
    const saved = tasks.map(({ description }) => Number(description.split(' ')[1]));
    expect(Math.max(0, ...saved)).toBeGreaterThanOrEqual(last.task);
    expect(recovered).toEqual([]);
    if (last.state > 0) expect(last_saved).toBeGreaterThan(0);
    if (last.report > 0) {
      const found = await readFile(join(dir, 'reports', 'r.md'), 'utf8');
      const n = Number(found.slice(0, found.indexOf('\n')));
      expect(n).toBeGreaterThanOrEqual(last.report);
      expect(found).toBe(report(n));
    }
    const whole = (await linesOf(dir)).filter((line) => line.endsWith('"}'));
    const numbers = whole.map((line) => (JSON.parse(line) as { timestamp: number }).timestamp);
    expect(numbers).toEqual(expect.arrayContaining(acknowledged));
    await state.shutdown();
    await node.close();
    expect((await readdir(join(dir, 'reports'))).filter((name) => name !== 'r.md')).toEqual([]);
    expect((await readdir(dir)).filter((name) => name.includes('.tmp'))).toEqual([]);
  }
  expect(Math.min(...Object.values(last))).toBeGreaterThan(0);
}, 300_000);
