import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { silentLog, systemClock } from '../../src/index.js';
import { productSchemas } from '../../src/documents/migrations/schemas.js';
import { lookAtFolder } from '../../src/node/migrations/folder.js';
import { rollBackFolder } from '../../src/node/migrations/roll-back-folder.js';
import { oneOfEach, changing, forEachOf, takesAll } from '../actors/children/each.js';
import { CLUSTER, folder, node } from '../node/world.js';
import { compiledChildren, startChild } from '../storage/children/build.js';
import { routingOnly } from './next-release.js';

const children = compiledChildren('test/migrations/children', ['migrate-child']);
const common = { schemas: routingOnly, clock: systemClock, log: silentLog };
const alone = {
  found: true,
  shards: 1,
  migrations: { auto: false },
  backups: { everyMs: 0 },
  schemas: routingOnly,
};

async function run(from: string, dieAt: number | undefined, what: string) {
  const dir = join(await folder(), 'data');
  await cp(from, dir, { recursive: true });
  const child = startChild(children.path('migrate-child'), [CLUSTER, dir, String(dieAt ?? ''), what]);
  const end = await child.ended;
  const said = child.lines.find((line) => line.startsWith('calls '));
  expect(end).toBe(said === undefined ? 'SIGKILL' : 0);
  const calls = said === undefined ? undefined : (JSON.parse(said.slice(6)) as string[]);
  return { dir, calls, acknowledged: child.lines.includes('acknowledged') };
}

/** Each document of a folder by the version that it is whole at. */
async function schemas(dataDir: string): Promise<Record<string, number>> {
  const { documents, faults } = await lookAtFolder({ dataDir, ...common });
  expect(faults).toEqual([]);
  return Object.fromEntries(documents.map(({ name, schema }) => [name, schema]));
}

const title = (of: Awaited<ReturnType<typeof node>>, name: string) =>
  (of.provenance('room', `matrix_room:!${name}:x`)?.['title']?.value as { text: string } | undefined)?.text;

async function world(): Promise<string> {
  const dataDir = await folder();
  const one = await node([], { dataDir, ...alone, schemas: productSchemas });
  for (const name of ['a', 'b', 'c']) {
    const write = { kind: 'room' as const, key: `matrix_room:!${name}:x`, fields: { display_name: name } };
    await one.change([write], { id: `$${name}`, ts: 1 });
  }
  await one.close();
  return dataDir;
}

describe('killed at every file call', () => {
  it('of a migration: every document is whole at the one version or the other, nothing acknowledged is lost, and the next run does the rest', async () => {
    const from = await world();
    const whole = await run(from, undefined, 'migrate');
    const kills = oneOfEach(4, changing(whole.calls ?? []));
    const seen = new Map<string, number>();
    await forEachOf(kills, async (call) => {
      const { dir, acknowledged } = await run(from, call, 'migrate');
      const stands = await schemas(dir);
      const said = `routing ${stands['routing/0']}`;
      seen.set(said, (seen.get(said) ?? 0) + 1);
      const again = await node([], { dataDir: dir, ...alone });
      if (acknowledged) expect(title(again, 'b')).toBe('meanwhile');
      expect([title(again, 'a'), title(again, 'c')]).toEqual(['a', 'c']);
      await again.migrations.run();
      expect(again.migrations.status().due).toBe(0);
      expect([title(again, 'a'), title(again, 'c')]).toEqual(['a', 'c']);
      await again.close();
      expect(await schemas(dir)).toEqual({ cluster: 1, 'actors/0': 1, 'routing/0': 2 });
    });
    process.stdout.write(
      `migration killed at ${kills.length} calls: versions found ${JSON.stringify(Object.fromEntries(seen))}\n`,
    );
    expect(seen.get('routing 1')).toBeGreaterThan(takesAll ? 3 : 0);
    expect(seen.get('routing 2')).toBeGreaterThan(takesAll ? 3 : 0);
  }, 300_000);

  it('of a rollback: the same', async () => {
    const from = (await run(await world(), undefined, 'migrate')).dir;
    const whole = await run(from, undefined, 'rollback');
    const kills = oneOfEach(6, changing(whole.calls ?? []));
    const seen = new Set<number>();
    await forEachOf(kills, async (call) => {
      const { dir } = await run(from, call, 'rollback');
      seen.add((await schemas(dir))['routing/0'] ?? 0);
      await rollBackFolder({ dataDir: dir, to: 1, backup: undefined, dryRun: false, ...common });
      expect(await schemas(dir)).toEqual({ cluster: 1, 'actors/0': 1, 'routing/0': 1 });
      const back = await node([], { dataDir: dir, ...alone, schemas: productSchemas });
      expect(back.read('room', 'matrix_room:!b:x')?.display_name).toBe('meanwhile');
      await back.close();
    });
    if (takesAll) expect([...seen].sort((a, b) => a - b)).toEqual([1, 2]);
  }, 300_000);
});
