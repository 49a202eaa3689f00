import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cluster, type Cluster, type Replica } from '../world/cluster.js';
import { understudy } from '../world/command.js';

interface Report {
  version: number;
  holder: string;
  exit_code: number;
  findings: { code: string; severity: string; seen: string }[];
}

/** The doctor as a person runs it: with the settings of the replica, as a process of its own. */
async function doctor(world: Cluster, replica: Replica, ...args: string[]) {
  const { code, stdout, stderr } = await understudy(['doctor', '--json', ...args], {
    settings: replica.settings,
    deadlineMs: 240_000,
  });
  const secrets = [world.clusterId, replica.settings['UNDERSTUDY_RELAY_TOKEN'] ?? '', world.bot.password];
  for (const secret of secrets) expect(stdout + stderr).not.toContain(secret);
  const report = JSON.parse(stdout) as Report;
  expect(report.exit_code).toBe(code);
  const codes = report.findings.filter(({ severity }) => severity !== 'ok').map((one) => one.code);
  const seen = report.findings.map((one) => `${one.code}: ${one.seen}`).join('\n');
  return { code, codes, seen, report };
}

/** What a machine that stands still for seconds finds by itself: true for that moment, and gone in another one. */
const momentary = new Set([
  ...['folder-slow', 'holder-silent', 'holder-not-ready', 'replica-alone', 'member-absent', 'check-cut'],
  ...['relay-unreachable', 'relay-busy', 'heads-unanswered', 'heads-ahead', 'heads-behind', 'heads-unknown'],
  ...['homeserver-unreachable', 'homeserver-limited', 'judge-unfinished', 'judge-not-recorded'],
  'platform-unreachable',
]);

/** The doctor's word once nothing momentary is in it: a replica that has just answered hands its last changes over. */
async function inQuiet(world: Cluster, replica: Replica, ...args: string[]) {
  const until = performance.now() + 240_000;
  for (;;) {
    const told = await doctor(world, replica, ...args);
    if (!told.codes.some((code) => momentary.has(code)) || performance.now() > until) return told;
  }
}

async function someChunk(dir: string): Promise<string> {
  const entries = await readdir(join(dir, 'documents'), { recursive: true, withFileTypes: true });
  const files = entries.filter((one) => one.isFile() && /\/(snapshot|incremental)$/.test(one.parentPath));
  const [first] = files.map((one) => join(one.parentPath, one.name)).sort();
  if (first === undefined) throw new Error(`no chunk in ${dir}`);
  return first;
}

test(
  'the doctor at a real cluster: well, tested (D9), without its relay, damaged',
  { timeout: 900_000 },
  async () => {
    const world = await cluster({ replicas: 2 });
    const room = await world.room();
    await world.ask(room);
    await world.answered();
    const first = world.replica(0);

    const well = await inQuiet(world, first);
    expect(well.codes).toEqual(['judge-untested']);
    expect(well.code).toBe(0);
    expect(well.report).toMatchObject({ version: 1, holder: 'answers' });
    expect(well.seen).toMatch(/1 of 1 relay in reach; connected: replica-0, replica-1/);
    expect(well.seen).toContain(`signed in as ${world.bot.userId}`);
    expect(well.seen).toMatch(/agents: echo, drill/);

    let printed = '';
    const print = async () => {
      const { code, stdout } = await understudy(['doctor'], { settings: first.settings });
      printed = stdout;
      return code;
    };
    await expect.poll(print, { timeout: 240_000 }).toBe(0);
    expect(printed).toMatch(/✓ config .*\n[\s\S]*✓ cluster .*[\s\S]*all is well \(exit code 0\)\n$/);

    const probed = await inQuiet(world, first, '--only', 'homeserver', '--probe-homeserver');
    expect(probed.seen).toMatch(/20 pairs of concurrent sends over two tokens of one device: 0 doubled/);
    expect({ code: probed.code, codes: probed.codes }).toEqual({ code: 0, codes: [] });
    // Recorded for all replicas: the other one has it too.
    const other = world.replica(1);
    await expect
      .poll(async () => (await doctor(world, other, '--only', 'homeserver')).codes, { timeout: 120_000 })
      .toEqual([]);
    await world.ask(room);
    await world.answered();

    const wrong = { ...first.settings, UNDERSTUDY_RELAY_TOKEN: 'not-the-token-of-this-relay' };
    const refused = async () => {
      const { code, stdout } = await understudy(['doctor', '--only', 'relay'], { settings: wrong });
      return [code, stdout.includes('relay-token')];
    };
    await expect.poll(refused, { timeout: 120_000 }).toEqual([2, true]);

    await world.relays[0]?.kill();
    const cut = await doctor(world, first);
    expect(cut.code).toBe(3);
    expect(cut.codes).toContain('relay-unreachable');

    await first.stop();
    const path = await someChunk(first.dir);
    const bytes = await readFile(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff;
    await writeFile(path, bytes);
    const damaged = await doctor(world, first, '--offline');
    expect(damaged.code).toBe(1);
    expect(damaged.codes).toContain('chunk-damaged');
    expect(damaged.report.holder).toBe('nobody');
  },
);
