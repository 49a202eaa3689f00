import type { Command } from 'commander';
import { dataDir, relayPort, relayStorage } from '../config/settings.js';
import type { ActionOf } from './action.js';
import { examples } from './examples.js';

/** The relay, and the tokens it admits. */
export function relayCommands(cli: Command, action: ActionOf): void {
  const relay = cli
    .command('relay')
    .description('The relay between the replicas, until SIGTERM.')
    .option('--port <port>', 'where it listens (default: 3030)')
    .option('--data <dir>', 'its data folder (default: data/relay)')
    .option(
      '--storage <kind>',
      'fs, postgres, pglite, or memory, which forgets everything when the process ends (default: fs)',
    )
    .addHelpText(
      'after',
      examples(
        ['npx understudy relay', 'on 127.0.0.1:3030'],
        [
          'UNDERSTUDY_RELAY_HOST=0.0.0.0 UNDERSTUDY_RELAY_TOKEN_FILE=token npx understudy relay',
          'for other machines',
        ],
        [
          'UNDERSTUDY_RELAY_TOKENS_FILE=tokens.yaml npx understudy relay',
          'tokens with roles; a changed file is read again by itself, or at kill -HUP',
        ],
        [
          'UNDERSTUDY_RELAY_DATABASE_URL_FILE=database-url npx understudy relay --storage postgres',
          'its documents in a PostgreSQL database of its own',
        ],
      ),
    )
    .action(
      action(
        { port: ['--port', relayPort], data: ['--data', dataDir], storage: ['--storage', relayStorage] },
        () => import('../commands/relay.js'),
      ),
    );

  relay
    .command('token')
    .description('`relay token create` makes a token for the list of a relay.')
    .command('create')
    .description('Print a fresh token once, and the line by which relays know it.')
    .requiredOption(
      '--role <role>',
      'replica (reads and writes), viewer (reads), or admin (asks who is connected)',
    )
    .option('--expires <duration>', 'from now, for example 30d (default: never)')
    .option('--name <name>', 'what logs call it')
    .option('--json', 'machine-readable, with a version field')
    .addHelpText(
      'after',
      examples(
        ['npx understudy relay token create --role viewer --expires 30d', 'for a devtool, for a month'],
        [
          'npx understudy relay token create --role replica --name replica-1 --json',
          '{"version": 1, "token": …, "entry": …}, for scripts',
        ],
      ),
    )
    .action(action({}, () => import('../commands/relay-token-create.js')));
}
