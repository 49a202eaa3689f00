import { readFileSync } from 'node:fs';
import { Argument, Command, Option } from 'commander';
import {
  agentsFile,
  dataDir,
  machinesDir,
  platformPort,
  relayPort,
  relayStorage,
  replicas,
  type Setting,
} from './config/settings.js';
import type { Environment } from './config/reader.js';
import type { Invocation } from './process.js';

/** A command's module, loaded only when that command runs. */
type Run = (
  invocation: Invocation,
  options: Record<string, unknown>,
  argument?: string,
  list?: readonly string[],
) => Promise<number> | number;

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

  const action =
    (settings: Record<string, [string, Setting<unknown>]>, load: () => Promise<{ run: Run }>) =>
    async (...args: unknown[]): Promise<void> => {
      const command = args.at(-1) as Command;
      // An option that a command shares with the one above it is taken by that one.
      const options = command.optsWithGlobals<Record<string, unknown>>();
      const flags: Invocation['flags'] = new Map();
      for (const [option, [flag, { name }]] of Object.entries(settings)) {
        const text = options[option];
        if (typeof text === 'string') flags.set(name, { flag, text });
      }
      const { config } = cli.opts<{ config?: string }>();
      const { run } = await load();
      const argument = typeof args[0] === 'string' ? args[0] : undefined;
      const list = args.slice(0, -2).find((given): given is string[] => Array.isArray(given));
      const invocation = { env, flags, ...(config !== undefined && { configFile: config }) };
      finish(await run(invocation, options, argument, list));
    };

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
        ['MATRIX_HOMESERVER_URL=https://… MATRIX_USER=bot npx understudy up', 'on your homeserver'],
      ),
    )
    .action(action({ replicas: ['--replicas', replicas] }, () => import('./commands/up.js')));

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
    .action(action({ data: ['--data', dataDir] }, () => import('./commands/replica.js')));

  const relay = cli
    .command('relay')
    .description('The relay between the replicas, until SIGTERM.')
    .option('--port <port>', 'where it listens (default: 3030)')
    .option('--data <dir>', 'its data folder (default: data/relay)')
    .option(
      '--storage <kind>',
      'fs, postgres, or memory, which forgets everything when the process ends (default: fs)',
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
        () => import('./commands/relay.js'),
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
    .action(action({}, () => import('./commands/relay-token-create.js')));

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
        () => import('./commands/platform.js'),
      ),
    );

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
    .action(action({}, () => import('./commands/storage-new-key.js')));
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
    .action(action({ data: ['--data', dataDir] }, () => import('./commands/storage-rotate-key.js')));

  cli
    .command('cluster')
    .description('`cluster new` prints a fresh cluster id.')
    .command('new')
    .description('Print a fresh cluster id: a secret that every replica and relay of one cluster shares.')
    .addHelpText(
      'after',
      examples([
        'npx understudy cluster new > cluster-id',
        'keep it in a file, for UNDERSTUDY_CLUSTER_ID_FILE',
      ]),
    )
    .action(action({}, () => import('./commands/cluster-new.js')));

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
    .action(action({}, () => import('./commands/chat.js')));

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
    .action(action({ data: ['--data', dataDir] }, () => import('./commands/inspect.js')));

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
        () => import('./commands/history.js'),
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
        () => import('./commands/actors.js'),
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
    .action(action({ data: ['--data', dataDir] }, () => import('./commands/actors-release.js')));

  const seed = cli
    .command('seed')
    .description(
      '`seed simple` and `seed genesis`: agents and machines to begin with. Nothing is ever overwritten.',
    );
  seed
    .command('simple')
    .description('What everyone needs: an agents file. Accounts begin empty, at the first invite.')
    .option('--agents <file>', 'the agents file (default: data/agents.yaml)')
    .addHelpText('after', examples(['npx understudy seed simple', 'before the first start']))
    .action(
      action({ agents: ['--agents', agentsFile] }, () =>
        import('./commands/seed.js').then(({ runSimple }) => ({ run: runSimple })),
      ),
    );
  seed
    .command('genesis')
    .description('Starter agents and machine templates, once for a token, on this node.')
    .argument('[name...]', 'some of them (default: all)')
    .requiredOption('--once <token>', 'a word of your own; the same word never seeds again, on any node')
    .option('--data <dir>', 'the data folder of a replica (default: data/replica)')
    .option('--agents <file>', 'the agents file (default: data/agents.yaml)')
    .option('--machines <dir>', 'where machine files go (default: data/machines)')
    .addHelpText(
      'after',
      examples(
        ['npx understudy seed genesis --once first', 'all of it; what is there stays as it is'],
        ['npx understudy seed genesis --once more assistant approval', 'an agent and a machine'],
      ),
    )
    .action(
      action(
        {
          data: ['--data', dataDir],
          agents: ['--agents', agentsFile],
          machines: ['--machines', machinesDir],
        },
        () => import('./commands/seed.js'),
      ),
    );

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
    .action(action({}, () => import('./commands/machines.js')));

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
    .action(action({ data: ['--data', dataDir] }, () => import('./commands/backup-create.js')));
  backup
    .command('list')
    .description('The backups of a data folder, newest first, with their checksums looked at.')
    .option(
      '--data <dir>',
      'the data folder of a replica (default: data/replica, or the first of `understudy up`)',
    )
    .option('--json', 'machine-readable, with a version field')
    .addHelpText('after', examples(['npx understudy backup list', 'which there are, and which are good']))
    .action(action({ data: ['--data', dataDir] }, () => import('./commands/backup-list.js')));
  backup
    .command('verify')
    .description('Read a whole backup: every checksum, every document. Exit code 1 says what is wrong.')
    .argument('<file>', 'its path, or its name in backups/ of the data folder')
    .option('--data <dir>', 'that data folder')
    .option('--json', 'machine-readable, with a version field')
    .addHelpText('after', examples(['npx understudy backup verify copy-on-another-disk.tar', 'is it whole?']))
    .action(action({ data: ['--data', dataDir] }, () => import('./commands/backup-verify.js')));
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
    .action(action({ data: ['--data', dataDir] }, () => import('./commands/backup-restore.js')));

  cli
    .command('prepare', { hidden: true })
    .description('What docker-compose.yml runs once before the rest.')
    .addArgument(new Argument('<what>', 'what to make').choices(['secrets', 'accounts']))
    .requiredOption('--dir <dir>', 'the folder of the secrets')
    .action(action({}, () => import('./commands/prepare.js')));

  for (const command of everyCommand(cli)) {
    command.exitOverride().helpCommand(false);
  }
  return cli;
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap((child) => everyCommand(child))];
}

function examples(...lines: [command: string, does: string][]): string {
  return `\nExamples:\n${lines.map(([command, does]) => `  $ ${command}\n      ${does}`).join('\n')}`;
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
