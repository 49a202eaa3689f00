import { Option, type Command } from 'commander';
import { agentsFile, dataDir, platformPort, replicas } from '../config/settings.js';
import type { ActionOf } from './action.js';
import { examples } from './examples.js';

/** The processes of the product: all of them on one machine, or each by itself. */
export function servicesCommands(cli: Command, action: ActionOf): void {
  cli
    .command('up')
    .description(
      'Everything on this machine: homeserver, platform, relay and replicas; Ctrl-C stops all of it.',
    )
    .option('--replicas <n>', 'how many replicas of the bot (default: 2)')
    .addHelpText(
      'after',
      examples(
        ['npx understudy up', 'with a Synapse of its own, installed under data/dev'],
        ['npx understudy up --replicas 3', 'three replicas instead of two'],
        [
          'MATRIX_HOMESERVER_URL=https://… MATRIX_USER=bot MATRIX_PASSWORD_FILE=… npx understudy up',
          'on your homeserver',
        ],
      ),
    )
    .action(action({ replicas: ['--replicas', replicas] }, () => import('../commands/up.js')));

  cli
    .command('replica')
    .description('One replica of the bot, until SIGTERM.')
    .addOption(new Option('--data <dir>', 'its data folder (default: data/replica)'))
    .option(
      '--found',
      'found the cluster without asking any relay (only for the first replica, and only once)',
    )
    .addHelpText(
      'after',
      examples(
        ['npx understudy replica', 'settings from the environment'],
        ['npx understudy replica --data data/replica-2', 'a second one beside it'],
      ),
    )
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/replica.js')));

  cli
    .command('platform')
    .description('The reference agent platform, until SIGTERM.')
    .option('--port <port>', 'where it listens (default: 3040)')
    .option(
      '--data <dir>',
      'the folder of its database, when DATABASE_URL names none (default: data/platform)',
    )
    .option('--agents <file>', 'its agents (default: data/agents.yaml)')
    .addHelpText(
      'after',
      examples(
        ['npx understudy platform', 'on 127.0.0.1:3040, with SQLite'],
        ['DATABASE_URL=postgres://… npx understudy platform --port 3041', 'with PostgreSQL'],
      ),
    )
    .action(
      action(
        { port: ['--port', platformPort], data: ['--data', dataDir], agents: ['--agents', agentsFile] },
        () => import('../commands/platform.js'),
      ),
    );
}
