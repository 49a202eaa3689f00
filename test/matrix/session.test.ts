import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openSession } from '../../src/bot/session.js';
import { HomeserverError } from '../../src/matrix/homeserver.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import { json, scriptedServer } from './scripted-server.js';

type Reply = [status: number, body: object];

/** A homeserver that gives these replies, the last of them again and again. */
async function session(replies: Reply[], signal = new AbortController().signal) {
  const dataDir = await mkdtemp(join(tmpdir(), 'understudy-session-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true, maxRetries: 10 }));
  const server = await scriptedServer((_, response) => {
    const [status, body] = replies[Math.min(server.asked.length, replies.length) - 1] ?? [500, {}];
    json(response, status, body);
  });
  onTestFinished(() => server.close());
  const opened = openSession({
    homeserverUrl: server.url,
    credentials: { accessToken: 'secret-token' },
    deviceId: 'DEVICE',
    dataDir,
    deadlineMs: 30_000,
    clock: systemClock,
    log: silentLog,
    signal,
  });
  return { opened, server };
}

const me = { user_id: '@bot:x', device_id: 'DEVICE' };

test('M-outage: a start waits for a homeserver that is down or busy', async () => {
  const { opened, server } = await session([
    [502, {}],
    [429, { errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: 5 }],
    [200, me],
  ]);
  await expect(opened).resolves.toMatchObject({ userId: '@bot:x', deviceId: 'DEVICE' });
  expect(server.asked).toHaveLength(3);
});

test('what the homeserver refuses is said at once', async () => {
  const { opened, server } = await session([[403, { errcode: 'M_FORBIDDEN', error: 'no' }]]);
  const error: unknown = await opened.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(HomeserverError);
  expect(server.asked).toHaveLength(1);
});

test('a start that waits ends when it is told to', async () => {
  const stop = new AbortController();
  const { opened, server } = await session([[503, {}]], stop.signal);
  await expect.poll(() => server.asked.length).toBeGreaterThan(0);
  stop.abort(new Error('stopped'));
  await expect(opened).rejects.toThrow('stopped');
});
