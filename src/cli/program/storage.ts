import type { Command } from 'commander';
import { dataDir } from '../config/settings.js';
import type { ActionOf } from './action.js';
import { authorityCommands, claimsCommand } from './claims.js';
import { examples } from './examples.js';

/** Encryption of what is stored, and what a new cluster begins with. */
export function storageCommands(cli: Command, action: ActionOf): void {
  const storage = cli
    .command('storage')
    .description('`storage new-key` and `storage rotate-key`: encryption of what is stored.');

  storage
    .command('new-key')
    .description('Print a fresh key: 32 random bytes, a secret.')
    .addHelpText(
      'after',
      examples(['npx understudy storage new-key > storage-key', 'for UNDERSTUDY_STORAGE_KEY_FILE']),
    )
    .action(action({}, () => import('../commands/storage-new-key.js')));

  storage
    .command('rotate-key')
    .description(
      'Encrypt the documents of a stopped replica or relay with UNDERSTUDY_STORAGE_KEY, from plain or from UNDERSTUDY_STORAGE_KEY_PREVIOUS.',
    )
    .option('--data <dir>', 'the data folder; it must be named')
    .option('--database', 'the database of UNDERSTUDY_RELAY_DATABASE_URL instead of a folder')
    .option('--json', 'machine-readable, with a version field')
    .addHelpText(
      'after',
      examples(
        [
          'UNDERSTUDY_STORAGE_KEY_FILE=storage-key npx understudy storage rotate-key --data data/replica',
          'a plain folder becomes an encrypted one; killed half-way it is run again',
        ],
        [
          'UNDERSTUDY_STORAGE_KEY_FILE=new UNDERSTUDY_STORAGE_KEY_PREVIOUS_FILE=old npx understudy storage rotate-key --data data/replica',
          'from one key to the next',
        ],
      ),
    )
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/storage-rotate-key.js')));

  const cluster = cli
    .command('cluster')
    .description(
      '`cluster new` prints a fresh cluster id; `cluster authority`: which relay decides on claims.',
    );
  authorityCommands(cluster, action);
  claimsCommand(cli, action);
  cluster
    .command('new')
    .description('Print a fresh cluster id: a secret that every replica and relay of one cluster shares.')
    .addHelpText(
      'after',
      examples([
        'npx understudy cluster new > cluster-id',
        'keep it in a file, for UNDERSTUDY_CLUSTER_ID_FILE',
      ]),
    )
    .action(action({}, () => import('../commands/cluster-new.js')));
}
