import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { usualLimits } from '../../src/cli/doctor/limits.js';
import { exitCodeOf } from '../../src/cli/doctor/exit-code.js';
import { finding } from '../../src/cli/doctor/finding.js';
import { buildOnce } from '../world/build.js';
import { understudy } from '../world/command.js';
import { cleanEnvironment, program } from '../world/process.js';
import { folder } from '../node/world.js';
import { bytesOf, chunkFiles, doctor, healthyFolder, settings } from './world.js';

const run = async (dir: string, args: string[], more: Record<string, string> = {}) => {
  const look = () =>
    understudy(['doctor', '--data', dir, ...args], { settings: { ...settings, ...more }, cwd: dirname(dir) });
  let said = await look();
  // A disk that is slow because the machine is busy is no fault of the folder that these are about.
  for (let again = 0; again < 3 && said.stdout.includes('folder-slow'); again += 1) said = await look();
  return said;
};

/** A server that takes connections and never says a word. */
async function blackHole(connected: () => void = () => {}): Promise<number> {
  const server = createServer(connected);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

describe('understudy doctor', { timeout: 90_000 }, () => {
  beforeAll(buildOnce, 120_000);

  it('prints every layer and what to do, the worst first, and ends with the exit code', async () => {
    const dir = await healthyFolder();
    await chmod(dir, 0o755);
    const before = await bytesOf(dir);
    const { code, stdout, stderr } = await run(dir, []);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^! disk +folder-modes: others may look into 1 place/m);
    expect(stdout).toMatch(/^✓ documents +5 documents of/m);
    expect(stdout).toMatch(
      /What to do, the worst first:\n1\. [\w-]+ \(error\)[\s\S]*folder-modes \(warning\): chmod -R go= /,
    );
    expect(stdout).toMatch(/something needed cannot be reached \(exit code 3\)\n$/);
    for (const secret of [settings.UNDERSTUDY_CLUSTER_ID, settings.MATRIX_ACCESS_TOKEN]) {
      expect(stdout + stderr).not.toContain(secret);
    }
    expect(await bytesOf(dir)).toEqual(before);
  });

  it('--offline, --only and --json', async () => {
    const dir = await healthyFolder();
    const offline = await run(dir, ['--offline']);
    expect([offline.code, offline.stdout]).toEqual([0, expect.any(String)]);
    expect(offline.stdout).toMatch(/^- relay +not looked at$/m);
    const only = await run(dir, ['--only', 'disk,schema', '--json']);
    const report = JSON.parse(only.stdout) as Record<string, unknown>;
    expect(report).toMatchObject({
      version: 1,
      data_dir: dir,
      role: 'replica',
      holder: 'nobody',
      exit_code: 0,
    });
    expect(report['layers']).toMatchObject([{ layer: 'disk', state: 'looked' }, { layer: 'schema' }]);
    expect(only.stderr).toBe('');
  });

  it('refuses a layer that is none, and a probe that may ask nobody', async () => {
    const dir = await folder();
    const none = await run(dir, ['--only', 'disk,moon']);
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('"moon"; there are config, disk')]);
    expect((await run(dir, ['--offline', '--probe-homeserver'])).code).toBe(2);
  });

  it('a wrong setting is a finding among others, and exit code 2', async () => {
    const dir = await healthyFolder();
    const { code, stdout } = await run(dir, ['--offline'], { UNDERSTUDY_LEASE: 'long' });
    expect(code).toBe(2);
    expect(stdout).toContain('setting-wrong: UNDERSTUDY_LEASE');
    expect(stdout).toMatch(/^✓ backups/m);
  });

  it('does not hang where relay, homeserver and platform take the connection and never answer', async () => {
    const dir = await healthyFolder();
    const port = await blackHole();
    const from = performance.now();
    const { codes, exit } = await doctor(dir, {
      limits: { answerMs: 300 },
      env: {
        ...settings,
        UNDERSTUDY_RELAY_URLS: `ws://127.0.0.1:${port}`,
        MATRIX_HOMESERVER_URL: `http://127.0.0.1:${port}`,
        UNDERSTUDY_PLATFORM_URL: `http://127.0.0.1:${port}`,
      },
    });
    expect(codes).toEqual(['relay-unreachable', 'homeserver-unreachable', 'platform-unreachable']);
    expect(exit).toBe(3);
    expect(performance.now() - from).toBeLessThan(60_000);
  });

  it('X-cut: a layer that takes longer than its time is cut off, and the next one is looked at (check-cut)', async () => {
    const dir = await healthyFolder();
    const port = await blackHole();
    const env = { ...settings, UNDERSTUDY_RELAY_URLS: `ws://127.0.0.1:${port}` };
    const limits = { answerMs: usualLimits.answerMs, layerMs: 200 };
    const { of, findings } = await doctor(dir, { env, limits, only: ['relay', 'schema'] });
    expect(of('check-cut')).toMatchObject({ layer: 'relay', severity: 'warning' });
    expect(findings.some(({ layer }) => layer === 'schema')).toBe(true);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('%s ends it at once, with 130 and no file left', async (signal) => {
    const dir = await healthyFolder();
    const before = await bytesOf(dir);
    let connected = (): void => {};
    const hangs = new Promise<void>((resolve) => (connected = resolve));
    const port = await blackHole(() => connected());
    const child = spawn(process.execPath, [program, 'doctor', '--data', dir, '--only', 'disk,relay'], {
      env: cleanEnvironment({ ...settings, UNDERSTUDY_RELAY_URLS: `ws://127.0.0.1:${port}` }),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = once(child, 'exit');
    await Promise.race([hangs, ended]);
    child.kill(signal);
    const [code] = (await ended) as [number | null];
    expect([code, said]).toEqual([130, 'understudy: interrupted\n']);
    expect(await bytesOf(dir)).toEqual(before);
  });

  it.skipIf(process.getuid?.() !== 0)(
    'chunk-unreadable and folder-unwritable, as a user without the rights',
    async () => {
      const dir = await healthyFolder();
      const nobody = 65_534;
      const [path = ''] = await chunkFiles(dir);
      for (const file of Object.keys(await bytesOf(dir))) await chown(file, nobody, nobody);
      const { readdir } = await import('node:fs/promises');
      const entries = await readdir(dir, { recursive: true, withFileTypes: true });
      for (const one of entries.filter((entry) => entry.isDirectory())) {
        await chown(`${one.parentPath}/${one.name}`, nobody, nobody);
      }
      await chmod(dirname(dir), 0o755);
      await chmod(dir, 0o755);
      await chown(path, 0, 0);
      const { stdout, code } = await understudy(['doctor', '--data', dir, '--offline', '--json'], {
        settings,
        uid: nobody,
        cwd: '/',
      });
      expect(code).toBe(1);
      for (const wanted of ['folder-unwritable', 'chunk-unreadable', 'folder-owner'])
        expect(stdout).toContain(`"${wanted}"`);
    },
  );

  it('the exit code is that of the worst; of equally bad ones settings, data, reach', () => {
    const of = (...codes: Parameters<typeof finding>[0][]) =>
      exitCodeOf(codes.map((code) => finding(code, '')));
    expect(of('disk', 'judge-untested', 'heads-behind')).toBe(0);
    expect(of('relay-unreachable', 'backup-old')).toBe(3);
    expect(of('relay-unreachable', 'chunk-damaged')).toBe(1);
    expect(of('relay-unreachable', 'chunk-damaged', 'setting-wrong')).toBe(2);
    expect(of('folder-unwritable', 'setting-wrong')).toBe(1);
    expect(of('relay-busy')).toBe(3);
  });
});
