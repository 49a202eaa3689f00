import type { Command } from 'commander';
import { dataDir, machinesDir } from '../config/settings.js';
import type { ActionOf } from './action.js';
import { examples } from './examples.js';

/** To talk to the bot, and to look at what it knows. */
export function lookingCommands(cli: Command, action: ActionOf): void {
  cli
    .command('chat')
    .description('Talk to the bot of `understudy up` in the terminal.')
    .option('--as <user>', 'who talks', 'alice')
    .option('--room <room>', 'a room id, alias or name (default: the room of the first prompt)')
    .option('--up <dir>', 'the data folder of `understudy up`', 'data')
    .option('--wait <duration>', 'how long to wait for an answer when input is piped', '60s')
    .addHelpText(
      'after',
      examples(
        ['npx understudy chat', 'a conversation as alice'],
        ['echo hi | npx understudy chat --as bob', 'one prompt, its answer, and out'],
      ),
    )
    .action(action({}, () => import('../commands/chat.js')));

  cli
    .command('inspect')
    .description('Look into the documents: all records, or those whose key is or begins with KEY.')
    .argument('[key]', 'for example matrix_room:!abc:example.org, or matrix_room:')
    .option(
      '--data <dir>',
      'the data folder of a replica (default: data/replica, or the first of `understudy up`)',
    )
    .option('--json', 'machine-readable, with a version field')
    .addHelpText(
      'after',
      examples(
        ['npx understudy inspect', 'every record, as tables'],
        [
          'npx understudy inspect matrix_user:@alice:localhost',
          'one record, with who wrote each field and why',
        ],
        ['npx understudy inspect matrix_room: --json', 'all rooms, for other tools'],
      ),
    )
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/inspect.js')));

  cli
    .command('history')
    .description('What an actor went through, from its first event on, or where it stood at a time.')
    .argument('<key>', 'the actor, for example conversation/!abc:example.org')
    .option(
      '--data <dir>',
      'the data folder of a replica (default: data/replica, or the first of `understudy up`)',
    )
    .option('--at <time>', 'where it stood then: 2026-03-01T12:00:00Z, -5m, or milliseconds since 1970')
    .option('--machines <dir>', 'machine files by which a folder is read (default: data/machines)')
    .option('--json', 'JSON lines, one an event, each with a version field')
    .addHelpText(
      'after',
      examples(
        ['npx understudy history order/1234', 'every event: when, from which state to which, why, by whom'],
        ['npx understudy history order/1234 --at -5m', 'its state five minutes ago'],
        ['npx understudy history order/1234 --json > order.jsonl', 'for other tools'],
      ),
    )
    .action(
      action(
        { data: ['--data', dataDir], machines: ['--machines', machinesDir] },
        () => import('../commands/history.js'),
      ),
    );

  const actors = cli
    .command('actors')
    .description('Where every actor stands, quarantined ones first; `actors release` lets one go on.')
    .option(
      '--data <dir>',
      'the data folder of a replica (default: data/replica, or the first of `understudy up`)',
    )
    .option('--machine <id>', 'only actors of this machine')
    .option('--machines <dir>', 'machine files by which a folder is read (default: data/machines)')
    .option('--json', 'machine-readable, with a version field')
    .addHelpText(
      'after',
      examples(
        ['npx understudy actors', 'all of them'],
        ['npx understudy actors --machine run --json', 'the runs, for other tools'],
      ),
    )
    .action(
      action(
        { data: ['--data', dataDir], machines: ['--machines', machinesDir] },
        () => import('../commands/actors.js'),
      ),
    );

  actors
    .command('release')
    .description('Let a quarantined actor go on, through the replica that runs.')
    .argument('<key>', 'the actor, for example order/1234')
    .option('--data <dir>', 'the data folder of that replica')
    .option('--state <state>', 'where it goes on: a state, dotted when nested (default: its initial state)')
    .addHelpText(
      'after',
      examples(
        ['npx understudy actors release order/1234', 'it begins anew; what it did before stays done'],
        ['npx understudy actors release order/1234 --state fulfilling.packing', 'it goes on there'],
      ),
    )
    .action(action({ data: ['--data', dataDir] }, () => import('../commands/actors-release.js')));

  cli
    .command('machines')
    .description('`machines check` looks at the statecharts in JSON files.')
    .command('check')
    .description('Say what is wrong in the machine files of DIR, or which machines they hold.')
    .argument('[dir]', 'the folder of the *.json files (default: data/machines)')
    .option('--json', 'machine-readable, with a version field')
    .addHelpText(
      'after',
      examples(
        ['npx understudy machines check', 'every file of data/machines; exit code 2 when one is invalid'],
        ['npx understudy machines check my/machines --json', 'another folder, for other tools'],
      ),
    )
    .action(action({}, () => import('../commands/machines.js')));
}
