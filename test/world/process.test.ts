import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { understudy } from './command.js';
import { testPort } from './port.js';
import { Process } from './process.js';

/** A stand-in with the pages of a real process: ready after it is told so, slow to end when it is told so. */
const standIn = `
  import { createServer } from 'node:http';
  const begun = Date.now();
  const ready = () => Date.now() - begun > Number(process.env.READY_AFTER ?? 0);
  createServer((request, answer) => {
    if (request.url === '/metrics') return answer.end('beats{shard="1"} 2\\nbeats{shard="2"} 3\\nother 1\\n');
    answer.writeHead(ready() ? 200 : 503).end(ready() ? '{}' : 'no peer yet');
  }).listen(process.env.UNDERSTUDY_HTTP_PORT, '127.0.0.1');
  console.log(JSON.stringify({ level: 'info', msg: 'up', leaked: process.env.MATRIX_LEAK ?? null }));
  if (process.argv[2] === 'fails') process.exit(2);
  process.on('SIGTERM', () => { console.log('ending'); process.exit(0); });
`;

let dir: string;
const processes: Process[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'understudy-process-'));
  await writeFile(join(dir, 'stand-in.mjs'), standIn);
});
afterEach(() => Promise.all(processes.splice(0).map((process) => process.kill())));
afterAll(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));

const made = async (settings: Record<string, string> = {}, args: string[] = []) => {
  const port = String(await testPort());
  const process = new Process(
    'it',
    args,
    { UNDERSTUDY_HTTP_PORT: port, ...settings },
    join(dir, 'stand-in.mjs'),
  );
  processes.push(process);
  return process;
};

test('a process is started when it says that it is ready, with no settings but its own', async () => {
  process.env['MATRIX_LEAK'] = 'from outside';
  const it = await made({ READY_AFTER: '300' });
  await it.start();
  delete process.env['MATRIX_LEAK'];
  expect((await it.line(() => true, { from: 0 })).fields).toEqual({ level: 'info', msg: 'up', leaked: null });
  expect(await it.metric('beats')).toBe(5);
  expect(await it.metric('beat')).toBeUndefined();
});

test('one that ends while starting, or is never ready, is told with its last words', async () => {
  const fails = await made({}, ['fails']);
  await expect(fails.start()).rejects.toThrow(/it ended while starting:\n.*"msg":"up"/);
  expect(fails.ended).toEqual({ code: 2, signal: null });
  expect(fails.crashes).toEqual(['it ended by itself (exit code 2)']);
  const late = await made({ READY_AFTER: '3600000' });
  late.launch();
  // Asked again until it has come so far as to say anything at all.
  const told = () => late.ready(400).catch((error: Error) => error.message);
  await expect.poll(told, { timeout: 60_000 }).toMatch(/not ready in 400 ms: no peer yet/);
});

test('it is killed, started again, frozen, thawed, and ended also while frozen', async () => {
  const it = await made();
  await it.start();
  const { pid } = it;
  await it.kill();
  expect(it.ended).toEqual({ code: null, signal: 'SIGKILL' });
  expect(it.crashes).toEqual([]);
  expect(existsSync(`/proc/${pid}/exe`)).toBe(false);
  await it.start();
  expect(it.pid).not.toBe(pid);
  it.freeze();
  await expect(it.ready(300)).rejects.toThrow(/was not ready/);
  it.thaw();
  await it.ready();
  it.freeze();
  const from = it.lines.length;
  expect(await it.stop()).toBe(0);
  await expect.poll(() => it.lines[from]?.text).toBe('ending');
});

test('a line is awaited, and found also when it came before', async () => {
  const it = await made();
  it.launch();
  expect((await it.line(({ fields }) => fields?.['msg'] === 'up', { from: 0 })).fields?.['level']).toBe(
    'info',
  );
  await expect(it.line(() => true, { deadlineMs: 100 })).rejects.toThrow(/did not log/);
});

test('a command runs to its end with its output', async () => {
  const { code, stdout, stderr } = await understudy(['cluster', 'new']);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^[\w-]{43}\n$/);
});
