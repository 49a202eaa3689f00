import { join } from 'node:path';
import { nodeFiles } from '../storage/file-layer.js';
import { loadMachines } from '../storage/machine-files.js';
import { addAgents } from './agents-file.js';
import { SeedError } from './errors.js';
import { genesisParts, type GenesisPart } from './genesis.js';
import type { SeedLedger } from './ledger.js';
import { newFile } from './new-file.js';

/** Where the scaffold goes on this machine. */
export interface SeedPlaces {
  agentsFile: string;
  machinesDir: string;
  env: NodeJS.ProcessEnv;
}

/** One part, and whether it was made or something of that name was there and stays. */
export interface Seeded {
  readonly kind: GenesisPart['kind'];
  readonly name: string;
  readonly outcome: 'added' | 'kept';
}

export type GenesisOutcome =
  | { readonly turn: 'seeded'; readonly parts: readonly Seeded[]; readonly resumed: boolean }
  | { readonly turn: 'done'; readonly at: number; readonly replica: string };

/**
 * Makes the scaffold of agents and machines, once for a token, on this node (REQUIREMENTS R5). Never destroys: what
 * has the name of a part stays as it is. A kill between any two steps leaves parts that are whole, and the same
 * command completes the rest.
 *
 * @param names parts by name; none, or `all`, for every one.
 * @throws {SeedError}, {AgentsFileError}, {MachineFileError}: nothing was changed by what threw.
 */
export async function seedGenesis(
  ledger: SeedLedger,
  token: string,
  names: readonly string[],
  places: SeedPlaces,
): Promise<GenesisOutcome> {
  const wanted = partsNamed(names).map(({ name }) => name);
  const turn = await ledger.begin(token, wanted);
  if (turn.turn === 'done') return turn;
  // Of another version's scaffold a name may be none any more.
  const parts = genesisParts.filter(({ name }) => turn.names.includes(name));
  const seeded = await plant(parts, places);
  await ledger.finish(token);
  return { turn: 'seeded', parts: seeded, resumed: turn.resumed };
}

/**
 * What everyone needs: an agents file. Accounts begin empty and are made at a person's first invite; nothing of theirs
 * is touched here.
 *
 * @throws {AgentsFileError} when what stands there cannot be used; it is left alone.
 */
export async function seedSimple({
  agentsFile,
  env,
}: Pick<SeedPlaces, 'agentsFile' | 'env'>): Promise<Seeded> {
  const isThere = await nodeFiles.exists(agentsFile);
  await addAgents(agentsFile, [], env);
  return { kind: 'agent', name: 'echo', outcome: isThere ? 'kept' : 'added' };
}

/** @throws {SeedError} `unknown-name`. */
export function partsNamed(names: readonly string[]): readonly GenesisPart[] {
  if (names.length === 0 || names.includes('all')) return genesisParts;
  for (const name of names) {
    if (genesisParts.some((part) => part.name === name)) continue;
    const known = genesisParts.map((part) => part.name).join(', ');
    throw new SeedError(
      'unknown-name',
      `there is nothing named ${JSON.stringify(name)} to seed: ${known}, or all`,
    );
  }
  return genesisParts.filter(({ name }) => names.includes(name));
}

async function plant(parts: readonly GenesisPart[], places: SeedPlaces): Promise<Seeded[]> {
  const { agentsFile, machinesDir, env } = places;
  // Read first: what cannot be read is not added to.
  const taken = new Set((await loadMachines(machinesDir)).map(({ id }) => id));
  const agents = parts.filter((part) => part.kind === 'agent');
  const added =
    agents.length === 0
      ? []
      : await addAgents(
          agentsFile,
          agents.map(({ agent }) => agent),
          env,
        );
  const seeded: Seeded[] = agents.map(({ name }) => ({
    kind: 'agent',
    name,
    outcome: added.includes(name) ? 'added' : 'kept',
  }));
  for (const part of parts) {
    if (part.kind !== 'machine') continue;
    const { kind, name, text } = part;
    const made = !taken.has(name) && (await newFile(join(machinesDir, `${name}.json`), text));
    seeded.push({ kind, name, outcome: made ? 'added' : 'kept' });
  }
  return seeded;
}
