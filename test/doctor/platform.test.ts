import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/time/clock.js';
import { node } from '../node/world.js';
import { scratchFile, world } from '../platform/world.js';
import { CLUSTER, doctor, healthyFolder, settings } from './world.js';

const at = (dir: string, url: string, options: Parameters<typeof doctor>[1] = {}) =>
  doctor(dir, {
    only: ['platform'],
    ...options,
    env: { ...settings, UNDERSTUDY_PLATFORM_URL: url, ...options.env },
  });

async function platform(options: Parameters<typeof world>[1] = {}): Promise<string> {
  // Goes after the platform has ended.
  const database = { sqlite: join(dirname(await scratchFile('beside', '')), 'platform.db') };
  return (await world(database, options)).platform.url;
}

async function answering(status: number, body: string): Promise<string> {
  const server = createServer((_, response) => response.writeHead(status).end(body));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

describe('the doctor at the platform', { timeout: 60_000 }, () => {
  it('finds nothing where nothing is wrong', async () => {
    const { codes, exit, of } = await at(await healthyFolder(), await platform());
    expect({ codes, exit }).toEqual({ codes: [], exit: 0 });
    expect(of('platform').seen).toContain('speaks /v1; agents: echo, drill');
  });

  it('platform-unreachable: nobody there, and one that fails', async () => {
    const dir = await healthyFolder();
    expect(await at(dir, 'http://127.0.0.1:9')).toMatchObject({ codes: ['platform-unreachable'], exit: 3 });
    expect((await at(dir, await answering(503, 'down'))).codes).toEqual(['platform-unreachable']);
  });

  it('platform-token: none and a wrong one', async () => {
    const dir = await healthyFolder();
    const url = await platform({ token: 'the-platform-token' });
    expect((await at(dir, url)).of('platform-token').seen).toContain('none is set');
    const env = { UNDERSTUDY_PLATFORM_TOKEN: 'a-wrong-token' };
    const { codes, exit, findings } = await at(dir, url, { env });
    expect({ codes, exit }).toEqual({ codes: ['platform-token'], exit: 2 });
    expect(JSON.stringify(findings)).not.toContain('a-wrong-token');
    expect((await at(dir, url, { env: { UNDERSTUDY_PLATFORM_TOKEN: 'the-platform-token' } })).codes).toEqual(
      [],
    );
  });

  it('platform-version: something else, or another version', async () => {
    const dir = await healthyFolder();
    expect(await at(dir, await answering(404, 'none'))).toMatchObject({
      codes: ['platform-version'],
      exit: 2,
    });
    expect((await at(dir, await answering(200, '{"models": []}'))).codes).toEqual(['platform-version']);
  });

  it('platform-clock', async () => {
    const clock = { ...systemClock, now: () => Date.now() + 120_000 };
    expect((await at(await healthyFolder(), await platform(), { clock })).codes).toEqual(['platform-clock']);
  });

  it('agents-none', async () => {
    const none = await answering(200, '{"agents": []}');
    expect((await at(await healthyFolder(), none)).codes).toEqual(['agents-none']);
  });

  it('agent-gone: what a person chose and a room is bound to', async () => {
    const dir = await healthyFolder();
    const one = await node([], { dataDir: dir, clusterId: CLUSTER, found: true });
    await one.change(
      [
        { kind: 'user', key: 'matrix_user:@a:x', fields: { selected_agent_id: 'gone' } },
        { kind: 'room', key: 'matrix_room:!r0:x', fields: { agent_id: 'gone' } },
        { kind: 'room', key: 'matrix_room:!r1:x', fields: { agent_id: 'echo' } },
      ],
      { id: '$x' },
    );
    await one.close();
    const { codes, exit, of } = await at(dir, await platform());
    expect({ codes, exit }).toEqual({ codes: ['agent-gone'], exit: 1 });
    expect(of('agent-gone').seen).toContain('gone (2 bindings)');
    const agentsFile = await scratchFile(
      'agents.yaml',
      'default: gone\nagents:\n  - { id: gone, name: G, backend: echo }\n  - { id: echo, name: E, backend: echo }\n',
    );
    expect((await at(dir, await platform({ agentsFile }))).codes).toEqual([]);
  });
});
