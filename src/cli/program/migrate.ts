import type { Command } from 'commander';
import { dataDir } from '../config/settings.js';
import type { ActionOf } from './action.js';
import { examples } from './examples.js';

const WHICH = 'the data folder of a replica (default: data/replica, or the first of `understudy up`)';

/** Versions of the data format. */
export function migrateCommands(cli: Command, action: ActionOf): void {
  const migrate = cli
    .command('migrate')
    .description(
      '`migrate status`, `run` and `rollback`: the version of the data format that documents have.',
    );

  migrate
    .command('status')
    .description('Which schema the documents have, what is to be migrated, and who must be updated first.')
    .option('--data <dir>', WHICH)
    .option('--json', 'machine-readable, with a version field')
    .addHelpText('after', examples(['npx understudy migrate status', 'before and after an upgrade']))
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/migrate-status.js')));

  migrate
    .command('run')
    .description('Migrate now what is to be migrated, after a backup. Replicas do it by themselves too.')
    .option('--data <dir>', WHICH)
    .option('--dry-run', 'say what would be migrated, and change nothing')
    .option(
      '--force',
      'of a stopped folder: although members do not know the schema yet, which then only read',
    )
    .option('--json', 'machine-readable, with a version field')
    .addHelpText(
      'after',
      examples(
        ['npx understudy migrate run', 'now, also after a rollback'],
        ['npx understudy migrate run --dry-run', 'what would be migrated'],
      ),
    )
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/migrate-run.js')));

  migrate
    .command('rollback')
    .description(
      'Bring the documents of a stopped replica back to the schema before; the others take it over.',
    )
    .option('--data <dir>', 'the folder to roll back')
    .option('--to <schema>', 'the schema to come back to (default: one less than the highest)')
    .option(
      '--backup <file>',
      'made before the migration (default: the newest such in backups/ of the folder)',
    )
    .option('--dry-run', 'say what would change and what cannot be said any more, and change nothing')
    .option('--json', 'machine-readable, with a version field')
    .addHelpText(
      'after',
      examples(
        ['npx understudy migrate rollback --data data/replica --dry-run', 'what would change'],
        ['npx understudy migrate rollback --data data/replica', 'with every replica stopped'],
      ),
    )
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/migrate-rollback.js')));
}
