import { describe, expect, it } from 'vitest';
import { createLog } from '../../src/telemetry/logger.js';
import { Redactor } from '../../src/telemetry/redact.js';

function recorder(options: { debug?: string; secrets?: string[] } = {}) {
  const lines: string[] = [];
  const log = createLog({
    role: 'replica',
    debug: options.debug,
    pretty: false,
    destination: { write: (line) => lines.push(line) },
    redactor: new Redactor(options.secrets),
  });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? 'null') as Record<string, unknown> };
}

describe('log lines', () => {
  it('are JSON with level, time, role, the fields and the message', () => {
    const { log, last } = recorder();
    log.info({ room: '!a:b', count: 2 }, 'settled');
    expect(last()).toMatchObject({ level: 'info', role: 'replica', room: '!a:b', count: 2, msg: 'settled' });
    expect(Date.parse(String(last()['time']))).toBeGreaterThan(0);
  });

  it('show debug only for the parts that DEBUG names', () => {
    const { log, lines } = recorder({ debug: 'understudy:sync,understudy:inb*' });
    log.debug({}, 'no');
    log.child({ part: 'storage' }).debug({}, 'no');
    log.child({ part: 'sync' }).debug({}, 'yes');
    log.child({ part: 'inbox' }).debug({}, 'yes');
    expect(lines).toHaveLength(2);
    const all = recorder({ debug: 'understudy:*,-understudy:sync' });
    all.log.debug({}, 'yes');
    all.log.child({ part: 'sync' }).debug({}, 'no');
    expect(all.lines).toHaveLength(1);
  });

  it('show an error with its code and cause, and its stack only under DEBUG', () => {
    const error = Object.assign(new Error('outer', { cause: new TypeError('inner') }), {
      code: 'ECONNRESET',
    });
    const quiet = recorder();
    quiet.log.warn({ error }, 'x');
    expect(quiet.last()['error']).toEqual({
      type: 'Error',
      message: 'outer',
      code: 'ECONNRESET',
      cause: { type: 'TypeError', message: 'inner' },
    });
    const loud = recorder({ debug: '*' });
    loud.log.warn({ error }, 'x');
    expect(loud.last()['error']).toHaveProperty('stack');
  });

  it('never throw on circular, huge or strange fields', () => {
    const { log, lines } = recorder();
    const circle: Record<string, unknown> = { big: 12n, bytes: new Uint8Array(9), bad: new Date(NaN) };
    circle['self'] = circle;
    circle['many'] = Array.from({ length: 10_000 }, (_, i) => i);
    log.info(circle, 'x');
    expect(lines[0]?.length).toBeLessThan(5_000);
  });
});

describe('redaction', () => {
  it('blanks out what stands under the name of a secret or of a text, at any depth', () => {
    const { log, lines, last } = recorder();
    const fields = {
      accessToken: 'tok-abcdef',
      deep: { list: [{ password: 'pw-abcdef', headers: { Authorization: 'auth-abcdef' } }] },
      clusterId: 'cid-abcdef',
      content: { body: 'body-abcdef' },
      text: 'text-abcdef',
      prompt: 'a question',
    };
    log.info(fields, 'x');
    expect(lines[0]).not.toMatch(/abcdef|a question/);
    log.child(fields).info({}, 'x');
    expect(lines[1]).not.toMatch(/abcdef|a question/);
    log.info({ prompt: '$event_id', token: 3 }, 'x');
    expect(last()).toMatchObject({ prompt: '$event_id', token: 3 });
  });

  it('blanks out the secrets of this process wherever they appear, and the lines stay JSON', () => {
    const secret = 'sec"ret\\with/odd+signs';
    const { log, lines, last } = recorder({ secrets: [secret] });
    log.info(
      { note: `it is ${secret}!`, url: `http://h/?q=${encodeURIComponent(secret)}` },
      `also ${secret}`,
    );
    log.warn({ error: new Error(`failed with ${secret}`, { cause: secret }) }, 'x');
    expect(lines.join('')).not.toContain('odd');
    expect(last()['error']).toMatchObject({ message: 'failed with [redacted]', cause: '[redacted]' });
  });

  it('blanks out what looks like a token in any string', () => {
    const { log, lines } = recorder();
    const words =
      'Bearer abc.DEF-123 access_token=xyzzy&x=1 syt_Ym90_abcdefgh_12 https://bot:hunter22@example.org/';
    log.info({ words }, words);
    expect(lines[0]).not.toMatch(/DEF|xyzzy|syt_|hunter22/);
    expect(lines[0]).toContain('example.org');
  });
});
