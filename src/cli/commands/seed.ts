import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { MachineFileError } from '../../actors/json/errors.js';
import { openNode } from '../../node/open-node.js';
import { SeedError } from '../../seed/errors.js';
import { genesisParts } from '../../seed/genesis.js';
import { seedLedger, type SeedLedger } from '../../seed/ledger.js';
import {
  partsNamed,
  seedGenesis,
  seedSimple,
  type GenesisOutcome,
  type SeedPlaces,
} from '../../seed/seed.js';
import { FolderLocked } from '../../storage/lock.js';
import { systemClock } from '../../time/clock.js';
import { SettingsReader } from '../config/reader.js';
import * as setting from '../config/settings.js';
import { storageKeys } from '../config/storage-keys.js';
import { messageOf } from '../explain.js';
import { askHolder, folderToLookAt } from '../inspect/holder.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';
import { UserError, wrongSetting } from '../user-error.js';

/** How long the node may take to open, and so to hear from a relay, milliseconds. */
const OPEN_MS = 15_000;

/** `understudy seed genesis --once TOKEN [NAME…]`: agents and machines to begin with, once. */
export async function run(
  invocation: Invocation,
  options: Record<string, unknown>,
  _argument: string | undefined,
  names: readonly string[] = [],
): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const token = typeof options['once'] === 'string' ? options['once'] : '';
  const places = placesOf(read);
  try {
    partsNamed(names);
    const outcome = await withLedger(read, (ledger) => seedGenesis(ledger, token, names, places));
    process.stdout.write(`${printable(linesOf(outcome, places).join('\n'))}\n`);
    return 0;
  } catch (error) {
    throw worded(error);
  }
}

/** `understudy seed simple`: what everyone needs, and nothing of anyone's account. */
export async function runSimple(invocation: Invocation): Promise<number> {
  const places = placesOf(new SettingsReader(invocation.env, invocation.flags, invocation.configFile));
  const { outcome } = await seedSimple(places);
  const lines = [
    outcome === 'added'
      ? `✓ ${places.agentsFile} made, with the agent echo`
      : `· ${places.agentsFile} is there and stays as it is`,
    'Accounts begin empty: the bot makes a person’s space and first room when that person invites it.',
  ];
  process.stdout.write(`${printable(lines.join('\n'))}\n`);
  return 0;
}

function placesOf(read: SettingsReader): SeedPlaces {
  return {
    agentsFile: resolve(read.required(setting.agentsFile)),
    machinesDir: resolve(read.required(setting.machinesDir)),
    env: process.env,
  };
}

/** The ledger of the process that holds the data folder; of the folder itself when there is none. */
async function withLedger<T>(read: SettingsReader, act: (ledger: SeedLedger) => Promise<T>): Promise<T> {
  const dir = await folderToLookAt(read);
  if ((await askHolder(dir, 'heads')) !== undefined) return act(holderLedger(dir));
  if (!existsSync(join(dir, 'replica.json'))) {
    throw new UserError(
      2,
      `${dir} is no data folder of a replica: start one first, or name it with --data or UNDERSTUDY_DATA_DIR`,
    );
  }
  const clusterId = read.optional(setting.clusterId);
  if (clusterId === undefined) {
    throw new UserError(
      2,
      `no process holds ${dir}: start its replica and run this again, or set UNDERSTUDY_CLUSTER_ID and UNDERSTUDY_RELAY_URLS as that replica has them`,
    );
  }
  const token = read.optional(setting.relayToken);
  const relays = read
    .required(setting.relayUrls)
    .map((url) => (token === undefined ? { url } : { url, token }));
  const abort = new AbortController();
  const cancel = systemClock.after(OPEN_MS, () => abort.abort());
  const node = await openNode({
    clusterId,
    dataDir: dir,
    storageKeys: storageKeys(read),
    relays,
    signal: abort.signal,
  }).catch((error: unknown) => {
    if (!abort.signal.aborted) throw error;
    throw new UserError(3, `no relay of ${relays.map(({ url }) => url).join(', ')} is in reach`, {
      cause: error,
    });
  });
  cancel();
  try {
    return await act(seedLedger(node, systemClock));
  } finally {
    await node.close();
  }
}

const turn = z.union([
  z.object({ turn: z.literal('go'), names: z.array(z.string()), resumed: z.boolean() }),
  z.object({ turn: z.literal('done'), at: z.number(), replica: z.string() }),
]);

function holderLedger(dir: string): SeedLedger {
  const ask = async (method: string, params: Record<string, unknown>): Promise<unknown> => {
    const found = await askHolder(dir, method, params);
    if (found === undefined) throw new UserError(3, `the process that holds ${dir} has ended: run it again`);
    return found.answer;
  };
  return {
    begin: async (token, names) => turn.parse(await ask('seed-begin', { token, names })),
    finish: async (token) => void (await ask('seed-finish', { token })),
  };
}

function linesOf(outcome: GenesisOutcome, places: SeedPlaces): string[] {
  if (outcome.turn === 'done') {
    const at = new Date(outcome.at).toISOString();
    return [`nothing was done: this token was used up at ${at} by replica ${outcome.replica}`];
  }
  const where = { agent: places.agentsFile, machine: places.machinesDir };
  const models = new Set(
    outcome.parts.flatMap(({ name, outcome: done }) => {
      const part = genesisParts.find((one) => one.kind === 'agent' && one.name === name);
      return done === 'added' && part?.kind === 'agent'
        ? [`${part.agent.model} at ${part.agent.base_url}`]
        : [];
    }),
  );
  return [
    ...(outcome.resumed ? ['what was begun with this token is completed:'] : []),
    ...outcome.parts.map(({ kind, name, outcome: done }) =>
      done === 'added'
        ? `✓ ${kind} ${name} → ${where[kind]}`
        : `· ${kind} ${name} is there and stays as it is`,
    ),
    ...[...models].map(
      (model) => `The agents use ${model}: change that in the file where it is not what you have.`,
    ),
    'The platform reads its agents again at once; replicas load machines when they start.',
  ];
}

function worded(error: unknown): unknown {
  if (error instanceof SeedError) {
    const exitCode = { 'unknown-name': 2, 'bad-token': 2, elsewhere: 1, unreachable: 3 } as const;
    return new UserError(exitCode[error.code], error.message, { cause: error });
  }
  if (error instanceof MachineFileError) {
    return wrongSetting(`the machine files are not valid, nothing was added: ${error.message}`, error);
  }
  if (error instanceof FolderLocked) {
    return new UserError(1, `${messageOf(error)}: it does not answer on its control socket`, {
      cause: error,
    });
  }
  return error;
}
