import type { Command } from 'commander';
import { dataDir } from '../config/settings.js';
import type { ActionOf } from './action.js';
import { examples } from './examples.js';

/** Erasure of a person. */
export function forgetCommands(cli: Command, action: ActionOf): void {
  cli
    .command('forget')
    .description(
      'Forget a person on every replica: records, history, session logs, contexts at the platform.',
    )
    .argument('<mxid>', 'the person, for example @alice:example.org')
    .option(
      '--data <dir>',
      'the data folder of a replica (default: data/replica, or the first of `understudy up`)',
    )
    .option('--dry-run', 'say what would go, and change nothing')
    .option('--yes', 'do not ask: there is no way back')
    .option('--wait <duration>', 'how long to wait for history and platform', '60s')
    .option('--json', 'machine-readable, with a version field')
    .addHelpText(
      'after',
      `
Once it says that it is recorded, it is: what is left is done by the replicas, also after a kill and by those that
are off now. The same command again says how far it is. docs/erasure.md says what remains where, and until when.
${examples(
  ['npx understudy forget @alice:example.org --dry-run', 'what would go'],
  ['npx understudy forget @alice:example.org --yes', 'through the replica that runs, or in its folder'],
  ['npx understudy forget @alice:example.org --yes --json', 'for other tools'],
)}`,
    )
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/forget.js')));
}
