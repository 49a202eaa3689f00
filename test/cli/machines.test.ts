import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildOnce } from '../world/build.js';
import { understudy } from '../world/command.js';

describe('understudy machines check', () => {
  let dir: string;
  beforeAll(async () => {
    await buildOnce();
    dir = await mkdtemp(join(tmpdir(), 'machines-'));
  }, 120_000);
  afterAll(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));

  it('lists the machines that come with the repository, which are valid', async () => {
    const { code, stdout, stderr } = await understudy(['machines', 'check']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('order version 1  (data/machines/order.json)');
    expect(stdout).toContain('  events   PLACED(total), PAID(amount), PACKED, SENT(tracking), CANCELLED');
    expect(stdout).toContain('  effects  ask-for-payment, pay-back, tell-the-warehouse, write');
  });

  it('lists them for other tools with --json', async () => {
    const { code, stdout } = await understudy(['machines', 'check', 'data/machines', '--json']);
    expect(code).toBe(0);
    const output = JSON.parse(stdout) as { machines: { id: string; version: number; states: string[] }[] };
    expect(output).toMatchObject({ version: 1, valid: true, problems: [] });
    expect(output.machines.map(({ id, version }) => `${id} ${version}`)).toEqual([
      'order 1',
      'traffic-light 1',
    ]);
    expect(output.machines[0]?.states).toContain('fulfilling.packing');
  });

  it('tells every problem with file, state and field, and ends with exit code 2', async () => {
    const content = { id: 'm', version: 1, initial: 'a', states: { a: { after: { soon: 'b', '5s': 'c' } } } };
    await writeFile(join(dir, 'bad.json'), JSON.stringify(content));
    const { code, stdout, stderr } = await understudy(['machines', 'check', dir]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    const lines = stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines).toContain(
      `${join(dir, 'bad.json')}: state "a", field "after.5s.target": there is no state "c" here`,
    );

    const asJson = await understudy(['machines', 'check', dir, '--json']);
    expect(asJson.code).toBe(2);
    const { valid, problems } = JSON.parse(asJson.stdout) as { valid: boolean; problems: object[] };
    expect(valid).toBe(false);
    expect(problems).toContainEqual(
      expect.objectContaining({ code: 'bad-delay', state: 'a', field: 'after.soon' }),
    );
  });

  it('says so when there is no such folder, or nothing in it', async () => {
    const missing = await understudy(['machines', 'check', join(dir, 'none')]);
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain('there is no folder');
    const empty = await understudy(['machines', 'check', 'src/time']);
    expect(empty).toMatchObject({ code: 0, stdout: 'no machine files in src/time\n' });
  });

  it('names the folder that cannot be read', async () => {
    const { code, stderr } = await understudy(['machines', 'check', 'package.json']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^understudy: package\.json cannot be read: /u);
  });

  it('shows its help with examples', async () => {
    const { code, stdout } = await understudy(['machines', 'check', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('Usage: understudy machines check');
    expect(stdout).toMatch(/Examples:\n {2}\$ .*understudy/u);
  });
});
