import { existsSync, readdirSync } from 'node:fs';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as A from '@automerge/automerge';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { askControl, controlPath } from '../../src/telemetry/control.js';
import { compiledChildren } from '../storage/children/build.js';
import { buildOnce } from '../world/build.js';
import { Gate } from '../world/gate.js';
import { testPort } from '../world/port.js';
import { Process } from '../world/process.js';
import { copyOf, damages, harm, kindsIn, type Damage, type FileKind } from './kinds.js';
import type { Holds } from './plan.js';
import { documentsOnDisk, Replica, scratch } from './world.js';

const children = compiledChildren('test/damage/children', ['damaged-child']);
const base = scratch();
const [whole, other] = [join(base, 'whole'), join(base, 'other')];
const cluster = 'a-cluster-that-is-a-secret-of-this-test';
const token = 'a-token-of-this-test';

let relay: Process;
let port: number;
let peer: Process;
/** What the undamaged folder holds. */
let truth: Holds;
/** Hashes of every change of each document there, by its id. */
let changes: Map<string, string[]>;
let kinds: FileKind[];

const plan = (dir: string, at: number, found: boolean) => ({
  dir,
  cluster,
  relays: [{ url: `ws://127.0.0.1:${at}`, token }],
  found,
});
const replica = (dir: string, at: number, found = false): Replica =>
  Replica.start(children.path('damaged-child'), plan(dir, at, found));

beforeAll(async () => {
  await buildOnce();
  port = await testPort();
  relay = new Process('relay', ['relay'], {
    UNDERSTUDY_CLUSTER_ID: cluster,
    UNDERSTUDY_RELAY_TOKEN: token,
    UNDERSTUDY_RELAY_PORT: String(port),
    UNDERSTUDY_HTTP_PORT: String(await testPort()),
    UNDERSTUDY_DATA_DIR: join(base, 'relay'),
  });
  await relay.start();
  const filler = Replica.start(children.path('damaged-child'), { ...plan(whole, port, false), fill: true });
  truth = await filler.holds();
  // Not a child of one test: it is there for all of them.
  const peerPlan = JSON.stringify(plan(other, port, false));
  peer = new Process('peer', [peerPlan], { UNDERSTUDY_HTTP_PORT: '0' }, children.path('damaged-child'));
  peer.launch();
  await peer.line(({ text }) => text.startsWith('open '), { from: 0 });
  await vi.waitFor(async () => expect(hasAll(await askHolds(other))).toBe(true), 60_000);
  // As by a loss of power: the lock stands, and so do files that only a clean end or a cut writes.
  await filler.kill();
  await writeFile(join(whole, 'generations.json'), '{"begun": [], "removing": []}\n');
  await writeFile(join(whole, 'attendance.json'), '{"running_ms": 5, "heard": {}}\n');
  kinds = await kindsIn(whole, truth.ids);
  changes = new Map();
  for (const [id, document] of await documentsOnDisk(whole)) {
    changes.set(
      id,
      A.getAllChanges(document).map((change) => A.decodeChange(change).hash),
    );
  }
  return async () => {
    await peer.kill();
    await relay.kill();
  };
}, 180_000);

const askHolds = async (dir: string): Promise<Holds> =>
  (await askControl(controlPath(dir), 'holds')) as Holds;

/** Documents that nobody writes any more have the heads that they had; the cluster's gets members. */
function hasAll(holds: Holds): boolean {
  const names = Object.keys(truth.heads).filter((name) => name !== 'cluster');
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  return (
    names.every((name) => same(holds.heads[name], truth.heads[name])) &&
    same(
      [holds.rooms, holds.tasks, holds.votes, holds.order],
      [truth.rooms, truth.tasks, truth.votes, truth.order],
    )
  );
}

/** What a file of a kind, damaged so, must make the process say; undefined when there is nothing to say. */
function mustSay(kind: FileKind, damage: Damage): RegExp | undefined {
  if (damage.name === 'removed') {
    return kind.name === 'replica.json' ? /no replica\.json that can be read/ : undefined;
  }
  if (kind.document !== undefined) {
    return /stored chunk is corrupt|a folder stood in the place/;
  }
  if (/^(replica|generations|attendance|keyed)\.json$/.test(kind.name))
    return /damaged: put aside, begun anew/;
  if (kind.name === 'delivery.journal') return /^journal: /;
  return undefined;
}

/** Kinds whose damaged bytes are kept where an operator can look. */
const isKept = (kind: FileKind): boolean =>
  kind.document !== undefined || /^(replica|generations|attendance|keyed)\.json$/.test(kind.name);

function keptBytes(dir: string, bytes: Buffer): Promise<boolean[]> {
  const names = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && join(entry.parentPath, entry.name).includes('quarantine'))
    .map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(names.map(async (name) => bytes.equals(await readFile(name))));
}

/** One real start: alone first, then with a relay. */
async function starts(kind: FileKind, damage: Damage, elsewhere: string): Promise<void> {
  const at = `${kind.name}, ${damage.name}`;
  const dir = await copyOf(whole, join(base, at.replaceAll(/[^a-z]+/gi, '-')));
  // The newest backup would give most of it back: that has tests of its own.
  if (kind.document !== undefined) await rm(join(dir, 'backups'), { recursive: true });
  await harm(dir, kind, damage, elsewhere);
  const path = join(dir, kind.path);
  const bytes = existsSync(path) && (await stat(path)).isFile() ? await readFile(path) : undefined;
  const onDisk = [...(await documentsOnDisk(dir))];
  const left = Object.fromEntries(onDisk.map(([id, document]) => [id, A.getHeads(document).sort()]));
  const gate = await Gate.start(port);
  gate.shut();
  let one = replica(dir, gate.port);
  try {
    const stands = await one.stands();
    const said = mustSay(kind, damage);
    const complaints = one.log.filter(({ level }) => level === 'error' || level === 'warn');
    if (said !== undefined) {
      if (kind.name === 'delivery.journal') await one.holds();
      const about = one.log.filter(({ message }) => said.test(message));
      expect(about.length, `${at}: ${JSON.stringify(complaints)}`).toBeGreaterThan(0);
    }
    if (stands === 'waiting') {
      // It lacks something, and says so; an operator who says go gets all that is left and nothing else.
      expect(kind.document, at).toBeDefined();
      if (kind.document !== 'cluster' && damage.name !== 'a folder in its place') {
        await one.kill();
        one = replica(dir, gate.port, true);
        const holds = await one.holds();
        for (const [name, id] of Object.entries(truth.ids)) {
          if (name === 'cluster') continue;
          // What rests on lost changes stands by; then it has the canonical first bytes alone.
          const whole = left[id] ?? [];
          if (whole.length > 0) expect(holds.heads[name], `${at}: ${name}`).toEqual(whole);
          for (const head of holds.heads[name] ?? []) expect(changes.get(id), at).toContain(head);
        }
        expect(truth.rooms, at).toEqual(expect.arrayContaining(holds.rooms));
        expect(truth.votes, at).toEqual(expect.arrayContaining(holds.votes));
        expect(truth.tasks, at).toEqual(expect.arrayContaining(holds.tasks));
      }
    } else {
      const holds = await one.holds();
      if (kind.document === undefined) expect(hasAll(holds), at).toBe(true);
      expect(truth.journal.sources, at).toEqual(expect.arrayContaining(holds.journal.sources));
      const isWhole = holds.journal.sources.length === truth.journal.sources.length;
      // C3: the position stands behind nothing that is lost.
      if (!isWhole) expect(holds.journal.position, at).not.toBe(truth.journal.position);
      expect(holds.replica === truth.replica, at).toBe(kind.name !== 'replica.json');
    }
    gate.open();
    await one.holds();
    await expect.poll(async () => hasAll(await askHolds(dir)), { timeout: 60_000, message: at }).toBe(true);
    if (isKept(kind) && bytes !== undefined) expect(await keptBytes(dir, bytes), at).toContain(true);
  } finally {
    await one.kill();
    await gate.close();
  }
}

const isSoak = process.env['UNDERSTUDY_SOAK'] === '1';
const chosen = Math.floor(Math.random() * 3);

/** Only a chunk may be taken for another one. Every third damage, others at the next kind and in the next run. */
const of = (kind: FileKind, at: number): Damage[] =>
  damages
    .filter(({ name }) => kind.document !== undefined || name !== 'another file in its place')
    .filter((_, index) => isSoak || (index + at) % 3 === chosen);

const names = [
  ...['cluster', 'routing', 'actors', 'keyed'].map((family) => `snapshot of ${family}`),
  ...['routing', 'actors'].map((family) => `incremental of ${family}`),
  ...['checksum of a chunk', 'backups', 'sessions'],
  ...['replica.json', 'generations.json', 'attendance.json', 'keyed.json', 'delivery.journal'],
  ...['lock', 'lock.copy', 'control.sock'],
];

describe('a real start with one damaged file: it starts, says what happened, and meets a peer to have everything', () => {
  for (const [at, name] of names.entries()) {
    it(`${name}, damaged in ${isSoak ? 'every way' : 'a third of the ways'}`, async () => {
      const kind = kinds.find((one) => one.name === name);
      expect(kind, `among ${kinds.map((one) => one.name).join(', ')}`).toBeDefined();
      if (kind === undefined) return;
      const elsewhere = kinds.find(
        (one) => one.document !== undefined && one.document !== kind.document,
      )?.path;
      const queue = of(kind, at).values();
      const work = async () => {
        for (const damage of queue) await starts(kind, damage, elsewhere ?? '');
      };
      await Promise.all([work(), work(), work()]);
    }, 300_000);
  }

  it('has a line for every kind of file there is', () => {
    expect(kinds.map(({ name }) => name).filter((name) => !names.includes(name))).toEqual([]);
  });
});
