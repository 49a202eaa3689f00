import type { Command } from 'commander';
import { dataDir } from '../config/settings.js';
import { layers } from '../doctor/codes.js';
import type { ActionOf } from './action.js';
import { examples } from './examples.js';

/** What is wrong with all of it. */
export function doctorCommands(cli: Command, action: ActionOf): void {
  cli
    .command('doctor')
    .description(
      'Look at every layer of a replica, running or stopped, and say what to do. Changes nothing in its folder.',
    )
    .option(
      '--data <dir>',
      'the data folder of a replica (default: data/replica, or the first of `understudy up`)',
    )
    .option('--only <layers>', `a comma list of ${layers.join(', ')}`)
    .option('--offline', 'ask nobody over the network')
    .option(
      '--probe-homeserver',
      'test whether the homeserver drops the second of two concurrent sends, and record it for all replicas',
    )
    .option('--json', 'machine-readable, with a version field')
    .addHelpText(
      'after',
      `
Exit codes: that of the worst finding. 0 nothing worse than a note, 1 the data, 2 a setting, 3 something out of reach;
of equally bad ones 2 before 1 before 3. docs/doctor.md explains every finding.
${examples(
  ['npx understudy doctor', 'everything, with the settings that the replica runs with'],
  ['npx understudy doctor --data data/replica-2 --offline', 'a folder alone'],
  ['npx understudy doctor --only disk,documents,backups --json', 'for a monitor'],
  [
    'npx understudy doctor --probe-homeserver',
    'once for each homeserver; takes a minute where it limits the bot',
  ],
)}`,
    )
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/doctor.js')));
}
