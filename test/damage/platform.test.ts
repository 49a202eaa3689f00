import { mkdirSync, readFileSync, statSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { startPlatform } from '../../src/platform/service/start.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import { buildOnce } from '../world/build.js';
import { understudy } from '../world/command.js';
import { testPort } from '../world/port.js';
import { Process } from '../world/process.js';
import { scratch } from './world.js';

const base = scratch();
const agentsFile = join(base, 'agents.yaml');
const whole = join(base, 'whole');

beforeAll(async () => {
  await buildOnce();
  writeFileSync(
    agentsFile,
    'default: echo\nagents:\n  - {id: echo, name: Echo, backend: echo, description: Says it}\n',
  );
  await mkdir(whole);
  const database = { sqlite: join(whole, 'platform.sqlite') };
  const platform = await startPlatform({
    port: 0,
    env: {},
    agentsFile,
    database,
    log: silentLog,
    clock: systemClock,
  });
  await platform.close();
}, 120_000);

const settingsFor = async (dir: string) => ({
  UNDERSTUDY_DATA_DIR: dir,
  UNDERSTUDY_AGENTS_FILE: agentsFile,
  UNDERSTUDY_PLATFORM_PORT: String(await testPort()),
  UNDERSTUDY_HTTP_PORT: String(await testPort()),
});

const changed = (path: string, at: number, length: number): void => {
  const bytes = readFileSync(path);
  bytes.fill(0xa5, at, at + length);
  writeFileSync(path, bytes);
};

/** Damage that a start must refuse, because answers would come from it. */
const refused: [string, (path: string) => void][] = [
  ['with a flipped first byte', (path) => changed(path, 0, 1)],
  ['with a page of nothing that was written', (path) => changed(path, 4_096, 4_096)],
  ['cut in the middle', (path) => truncateSync(path, Math.floor(statSync(path).size / 8_192) * 4_096)],
  ['of another kind', (path) => writeFileSync(path, '{"a": "file of somebody else"}'.repeat(200))],
  [
    'that is a folder',
    (path) => {
      unlinkSync(path);
      mkdirSync(path);
    },
  ],
];

describe("a platform's start over its database", () => {
  for (const [what, damage] of refused) {
    it(`${what}: one line that names the file and what to do, exit code 2, and the file is left as it is`, async () => {
      const dir = join(base, what.replaceAll(' ', '-'));
      await cp(whole, dir, { recursive: true });
      const path = join(dir, 'platform.sqlite');
      damage(path);
      const isFile = statSync(path).isFile();
      const before = isFile ? readFileSync(path) : undefined;
      const { code, stdout, stderr } = await understudy(['platform'], { settings: await settingsFor(dir) });
      const said = stdout + stderr;
      expect(code, said).toBe(2);
      expect(said).toContain(path);
      if (isFile) expect(said).toMatch(/is damaged: .*move it and its -wal away/);
      expect(said).not.toMatch(/^\s+at /m);
      if (before !== undefined) expect(readFileSync(path).equals(before)).toBe(true);
    });
  }

  it('that is gone or empty: it begins with an empty one, and says that it made its tables', async () => {
    for (const damage of [unlinkSync, (path: string) => truncateSync(path, 0)]) {
      const dir = join(base, `anew-${damage.name || 'emptied'}`);
      await cp(whole, dir, { recursive: true });
      damage(join(dir, 'platform.sqlite'));
      const platform = new Process('platform', ['platform'], await settingsFor(dir));
      try {
        await platform.start();
        // What it printed may come after the answer of its pages.
        await platform.line(({ text }) => text.includes('database migrated'), { from: 0 });
      } finally {
        await platform.kill();
      }
    }
  }, 120_000);
});
