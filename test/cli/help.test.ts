import { readFileSync, statSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Command } from 'commander';
import { program as commandLine } from '../../src/cli/program.js';
import { buildOnce } from '../world/build.js';
import { understudy } from '../world/command.js';
import { program } from '../world/process.js';

describe('the command line', () => {
  beforeAll(buildOnce, 120_000);

  const commands = [
    'up',
    'replica',
    'relay',
    'relay token create',
    'platform',
    'cluster new',
    'cluster authority show',
    'cluster authority set',
    'claims',
    'chat',
    'inspect',
    'history',
    'actors',
    'actors release',
    'seed simple',
    'seed genesis',
    'machines check',
    'storage new-key',
    'storage rotate-key',
    'doctor',
    'forget',
    'backup create',
    'backup list',
    'backup verify',
    'backup restore',
    'migrate status',
    'migrate run',
    'migrate rollback',
  ];

  it('are all the commands there are', () => {
    const visible = (command: Command) => command.createHelp().visibleCommands(command);
    const names = (command: Command, path: string[]): string[] =>
      visible(command).flatMap((one) => {
        const name = [...path, one.name()];
        const within = names(one, name);
        // One that only holds others does nothing of its own.
        return within.length > 0 && !['actors', 'relay'].includes(one.name())
          ? within
          : [name.join(' '), ...within];
      });
    const cli = commandLine({}, () => {});
    expect(names(cli, []).sort()).toEqual([...commands].sort());
  });

  it.each(commands)('%s --help shows what it does, with examples', async (name) => {
    const { code, stdout, stderr } = await understudy([...name.split(' '), '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`Usage: understudy ${name}`);
    expect(stdout).toMatch(/Examples:\n {2}\$ .*understudy/);
  });

  it('--help lists the commands and the exit codes', async () => {
    const { code, stdout } = await understudy(['--help']);
    expect(code).toBe(0);
    for (const name of commands) expect(stdout).toContain(name.split(' ')[0]);
    expect(stdout).toContain(
      '0 done, 1 failed, 2 a setting is wrong or missing, 3 something cannot be reached',
    );
  });

  it('--version prints the version of the package', async () => {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    const { version } = JSON.parse(text) as { version: string };
    expect((await understudy(['--version'])).stdout).toBe(`${version}\n`);
  });

  it('cluster new prints a fresh id each time, one that a relay takes', async () => {
    const [one, other] = [await understudy(['cluster', 'new']), await understudy(['cluster', 'new'])];
    expect(one.stdout).toMatch(/^[\w-]{43}\n$/);
    expect(other.stdout).not.toBe(one.stdout);
  });

  it.each([[[]], [['nonsense']], [['relay', '--nonsense']], [['relay', 'one', 'two']]])(
    'a wrong command line ends with exit code 2 and no stack: %j',
    async (args) => {
      const { code, stdout, stderr } = await understudy(args);
      expect(code).toBe(2);
      expect(stderr).not.toBe('');
      expect(stdout + stderr).not.toMatch(/^\s+at /m);
    },
  );

  it('no option takes a secret', () => {
    const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
    const flags = all(commandLine({}, () => {})).flatMap(({ options }) => options.map(({ long }) => long));
    expect(flags).toContain('--once');
    for (const flag of flags) expect(flag).not.toMatch(/token|password|secret|key|cluster-id/);
  });

  it('the program has its run bit, so that npx finds it in a clone', () => {
    expect(statSync(program).mode & 0o111).toBe(0o111);
  });
});
