import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlError, askControl, controlPath, startControl } from '../../src/telemetry/control.js';
import { silentLog } from '../../src/telemetry/log.js';

describe('the control socket', () => {
  let dir: string;
  let path: string;
  let close: (() => Promise<void>) | undefined;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'understudy-control-'));
    path = controlPath(dir);
  });
  afterEach(async () => {
    await close?.();
    close = undefined;
    await rm(dir, { recursive: true, force: true, maxRetries: 10 });
  });

  async function serve() {
    const server = await startControl({
      path,
      log: silentLog,
      handlers: {
        echo: (params) => params,
        nothing: () => undefined,
        big: () => 'x'.repeat(3_000_000),
        broken: () => {
          throw Object.assign(new Error('no such record'), { code: 'unknown-key' });
        },
        slow: () => new Promise(() => {}),
      },
    });
    close = () => server.close();
  }

  it('answers requests, also large ones, and is open to its owner only', async () => {
    await serve();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await askControl(path, 'echo', { key: 'ü€' })).toEqual({ key: 'ü€' });
    expect(await askControl(path, 'nothing')).toBeNull();
    expect(await askControl(path, 'big')).toHaveLength(3_000_000);
  });

  it('says what failed: an unknown method, a handler that throws, one that hangs, nobody there', async () => {
    await expect(askControl(path, 'echo')).rejects.toMatchObject({ code: 'nobody' });
    await serve();
    await expect(askControl(path, 'toString')).rejects.toMatchObject({ code: 'refused' });
    await expect(askControl(path, 'broken')).rejects.toThrow('no such record');
    const late = askControl(path, 'slow', {}, { deadlineMs: 50 });
    await expect(late).rejects.toEqual(new ControlError('late', `no answer from ${path} within 50 ms`));
  });

  it('takes the place of a socket that a killed process left', async () => {
    await writeFile(path, 'left over');
    await serve();
    expect(await askControl(path, 'echo')).toEqual({});
  });

  it('survives garbage and lines without an end', async () => {
    await serve();
    for (const bytes of ['\u0000\n', 'null\n', '{"version":9,"method":"echo"}\n', '['.repeat(2_000_000)]) {
      await new Promise<void>((resolve) => {
        const socket = createConnection(path, () => socket.write(bytes));
        socket.once('data', () => socket.destroy());
        socket.on('error', () => socket.destroy());
        socket.on('close', () => resolve());
      });
    }
    expect(await askControl(path, 'echo', { still: 'here' })).toEqual({ still: 'here' });
  });

  it('stays within the length of a socket path, wherever the data folder is', async () => {
    const long = join(dir, 'a'.repeat(150));
    path = controlPath(long);
    expect(Buffer.byteLength(path)).toBeLessThan(104);
    expect(controlPath(join(long, 'b'))).not.toBe(path);
    await serve();
    expect(await askControl(path, 'echo')).toEqual({});
  });
});
