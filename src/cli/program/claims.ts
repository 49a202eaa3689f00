import type { Command } from 'commander';
import { dataDir } from '../config/settings.js';
import type { ActionOf } from './action.js';
import { examples } from './examples.js';

const DATA = 'the data folder of a running replica (default: data/replica, or the first of `understudy up`)';
const JSON_WORDS = 'machine-readable, with a version field';

/** `cluster authority`: which relay decides on claims. */
export function authorityCommands(cluster: Command, action: ActionOf): void {
  const authority = cluster
    .command('authority')
    .description('`cluster authority show` and `set`: the one relay that decides on claims.');
  authority
    .command('show')
    .description('Say which relay decides on claims, and which are connected.')
    .option('--data <dir>', DATA)
    .option('--json', JSON_WORDS)
    .addHelpText(
      'after',
      examples(['npx understudy cluster authority show', 'with the lasting names of relays']),
    )
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/cluster-authority-show.js')));
  authority
    .command('set')
    .description('Let another relay decide on claims; what the old one holds is handed over.')
    .argument('<relay>', 'its lasting name, or the URL by which the replica is connected to it')
    .option('--data <dir>', DATA)
    .option(
      '--give-up-old',
      'do not ask the old one, which is gone for good: what was committed there is forgotten',
    )
    .option('--json', JSON_WORDS)
    .addHelpText(
      'after',
      examples(
        [
          'npx understudy cluster authority set ws://127.0.0.1:3030',
          'the first time: it decides a minute later',
        ],
        ['npx understudy cluster authority set relay-0123456789abcdef01', 'broken off, it is done again'],
      ),
    )
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/cluster-authority-set.js')));
}

/** What is claimed. */
export function claimsCommand(cli: Command, action: ActionOf): void {
  cli
    .command('claims')
    .description('Who holds which claims, as the relay says that decides on them.')
    .option('--data <dir>', DATA)
    .option('--json', JSON_WORDS)
    .addHelpText(
      'after',
      examples(
        ['npx understudy claims', 'namespace, key, replica, token, and how long yet'],
        ['npx understudy claims --json', 'for other tools'],
      ),
    )
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/claims.js')));
}
