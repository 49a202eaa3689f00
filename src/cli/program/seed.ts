import { Argument, type Command } from 'commander';
import { agentsFile, dataDir, machinesDir } from '../config/settings.js';
import type { ActionOf } from './action.js';
import { examples } from './examples.js';

/** What a node begins with. */
export function seedCommands(cli: Command, action: ActionOf): void {
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
        import('../commands/seed.js').then(({ runSimple }) => ({ run: runSimple })),
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
        () => import('../commands/seed.js'),
      ),
    );

  cli
    .command('prepare', { hidden: true })
    .description('What docker-compose.yml runs once before the rest.')
    .addArgument(new Argument('<what>', 'what to make').choices(['secrets', 'accounts']))
    .requiredOption('--dir <dir>', 'the folder of the secrets')
    .action(action({}, () => import('../commands/prepare.js')));
}
