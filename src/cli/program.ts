import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import type { Environment } from './config/reader.js';
import { actionOf } from './program/action.js';
import { backupCommands } from './program/backup.js';
import { doctorCommands } from './program/doctor.js';
import { forgetCommands } from './program/forget.js';
import { lookingCommands } from './program/looking.js';
import { migrateCommands } from './program/migrate.js';
import { relayCommands } from './program/relay.js';
import { seedCommands } from './program/seed.js';
import { servicesCommands } from './program/services.js';
import { storageCommands } from './program/storage.js';

/** The command line. `finish` is given the exit code of the command that ran. */
export function program(env: Environment, finish: (code: number) => void): Command {
  const cli = new Command('understudy')
    .description('A Matrix agent bot in several replicas: every prompt is answered exactly once.')
    .version(version(), '-V, --version', 'print the version')
    .option('--config <file>', 'read settings from this file (default: understudy.yaml in this folder)')
    .helpCommand(false)
    .showHelpAfterError('(understudy --help lists the commands)')
    .addHelpText(
      'after',
      `
Settings come from flags, then the environment, then understudy.yaml. Any secret NAME may be given as
NAME_FILE, the path of a file that holds it; no secret is ever a flag.

Exit codes: 0 done, 1 failed, 2 a setting is wrong or missing, 3 something cannot be reached.

Examples:
  $ npm start                            everything on this machine (the same as: npx understudy up)
  $ npx understudy chat                  talk to the bot
  $ npx understudy inspect               look into the documents`,
    );

  const action = actionOf(cli, env, finish);
  // The order in which --help lists them.
  for (const add of [
    servicesCommands,
    relayCommands,
    lookingCommands,
    doctorCommands,
    backupCommands,
    migrateCommands,
    storageCommands,
    forgetCommands,
    seedCommands,
  ]) {
    add(cli, action);
  }

  for (const command of everyCommand(cli)) {
    command.exitOverride().helpCommand(false);
  }
  return cli;
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap((child) => everyCommand(child))];
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
