import type { Command } from 'commander';
import { dataDir } from '../config/settings.js';
import type { ActionOf } from './action.js';
import { examples } from './examples.js';

/** Backups of all documents. */
export function backupCommands(cli: Command, action: ActionOf): void {
  const backup = cli
    .command('backup')
    .description('`backup create`, `list`, `verify` and `restore`: all documents of a replica, in one file.');

  backup
    .command('create')
    .description('Back up all documents now, through the replica that runs, or from its folder.')
    .option(
      '--data <dir>',
      'the data folder of a replica (default: data/replica, or the first of `understudy up`)',
    )
    .option('--json', 'machine-readable, with a version field')
    .addHelpText(
      'after',
      examples(
        ['npx understudy backup create', 'into backups/ of the data folder; read back before it counts'],
        ['npx understudy backup create --data data/replica-2', 'of another replica'],
      ),
    )
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/backup-create.js')));

  backup
    .command('list')
    .description('The backups of a data folder, newest first, with their checksums looked at.')
    .option(
      '--data <dir>',
      'the data folder of a replica (default: data/replica, or the first of `understudy up`)',
    )
    .option('--json', 'machine-readable, with a version field')
    .addHelpText('after', examples(['npx understudy backup list', 'which there are, and which are good']))
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/backup-list.js')));

  backup
    .command('verify')
    .description('Read a whole backup: every checksum, every document. Exit code 1 says what is wrong.')
    .argument('<file>', 'its path, or its name in backups/ of the data folder')
    .option('--data <dir>', 'that data folder')
    .option('--json', 'machine-readable, with a version field')
    .addHelpText('after', examples(['npx understudy backup verify copy-on-another-disk.tar', 'is it whole?']))
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/backup-verify.js')));

  backup
    .command('restore')
    .description('Merge a backup into the data folder of a stopped replica, or into an empty one.')
    .argument('<file>', 'its path, or its name in backups/ of the data folder')
    .option('--data <dir>', 'the folder to restore into')
    .option('--dry-run', 'say for each document what would change, and change nothing')
    .option('--json', 'machine-readable, with a version field')
    .addHelpText(
      'after',
      examples(
        ['npx understudy backup restore FILE --data data/replica --dry-run', 'what would change'],
        [
          'npx understudy backup restore FILE --data data/replica',
          'nothing newer is undone; again is harmless',
        ],
      ),
    )
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/backup-restore.js')));
}
