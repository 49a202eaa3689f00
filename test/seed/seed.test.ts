import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Machines } from '../../src/actors/machines.js';
import { parseMachineFiles } from '../../src/actors/json/machine-file.js';
import { loadAgents } from '../../src/platform/agents.js';
import { genesisParts } from '../../src/seed/genesis.js';
import { seedLedger, type SeedLedger } from '../../src/seed/ledger.js';
import { seedGenesis, seedSimple, type SeedPlaces } from '../../src/seed/seed.js';
import { systemClock } from '../../src/index.js';
import { eventually, folder, node, relay } from '../node/world.js';

const agentsThatCome = fileURLToPath(new URL('../../data/agents.yaml', import.meta.url));
const names = genesisParts.map(({ name }) => name);

async function places(): Promise<SeedPlaces> {
  const dir = await folder();
  return { agentsFile: join(dir, 'agents.yaml'), machinesDir: join(dir, 'machines'), env: {} };
}

const ids = async ({ agentsFile }: SeedPlaces) =>
  (await loadAgents(agentsFile, {})).agents.map(({ id }) => id);
const outcomes = (seeded: Awaited<ReturnType<typeof seedGenesis>>) =>
  seeded.turn === 'seeded'
    ? Object.fromEntries(seeded.parts.map(({ name, outcome }) => [name, outcome]))
    : seeded.turn;

async function alone(): Promise<SeedLedger> {
  return seedLedger(await node([], { found: true, shards: 1 }), systemClock);
}

describe('the scaffold', () => {
  it('holds agents and machines that can be used as they are', async () => {
    const files = genesisParts.flatMap((part) =>
      part.kind === 'machine' ? [{ file: `${part.name}.json`, bytes: Buffer.from(part.text) }] : [],
    );
    const machines = new Machines();
    for (const { machine, options } of parseMachineFiles(files)) machines.register(machine, options);
    expect(machines.all().map(({ id }) => id)).toEqual(['approval', 'ticket', 'reminder']);
  });

  it('is made once for a token: whole the first time, nothing the second', async () => {
    const ledger = await alone();
    const to = await places();
    const first = await seedGenesis(ledger, 'first', [], to);
    expect(outcomes(first)).toEqual(Object.fromEntries(names.map((name) => [name, 'added'])));
    expect(await ids(to)).toEqual(['echo', 'assistant', 'writer', 'reviewer']);
    expect((await readdir(to.machinesDir)).sort()).toEqual(['approval.json', 'reminder.json', 'ticket.json']);
    await writeFile(to.agentsFile, 'default: a\nagents: [{ id: a, name: A, backend: echo }]\n');
    expect(await seedGenesis(ledger, 'first', [], to)).toMatchObject({ turn: 'done' });
    expect(await ids(to)).toEqual(['a']);
  });

  it('names pick parts, and one that is none is refused before anything is taken', async () => {
    const ledger = await alone();
    const to = await places();
    await expect(seedGenesis(ledger, 'first', ['assistant', 'nobody'], to)).rejects.toMatchObject({
      code: 'unknown-name',
    });
    const seeded = await seedGenesis(ledger, 'first', ['assistant', 'ticket'], to);
    expect(outcomes(seeded)).toEqual({ assistant: 'added', ticket: 'added' });
    expect(await ids(to)).toEqual(['echo', 'assistant']);
    expect(await readdir(to.machinesDir)).toEqual(['ticket.json']);
  });

  it('what is there stays as it is: entries, comments, files, rights', async () => {
    const ledger = await alone();
    const to = await places();
    const before = `${await readFile(agentsThatCome, 'utf8')}
  - id: writer # ours
    name: My writer
    description: ''
    backend: echo
`;
    await writeFile(to.agentsFile, before, { mode: 0o640 });
    await seedGenesis(ledger, 'first', ['ticket'], to);
    const mine = join(to.machinesDir, 'ticket.json');
    await writeFile(mine, (await readFile(mine, 'utf8')).replace('a week later', 'some day'));
    const elsewhere = genesisParts.find(({ name }) => name === 'reminder');
    await writeFile(
      join(to.machinesDir, 'another-name.json'),
      elsewhere?.kind === 'machine' ? elsewhere.text : '',
    );
    const again = await seedGenesis(ledger, 'second', [], to);
    expect(outcomes(again)).toEqual({
      assistant: 'added',
      writer: 'kept',
      reviewer: 'added',
      approval: 'added',
      ticket: 'kept',
      reminder: 'kept',
    });
    const after = await readFile(to.agentsFile, 'utf8');
    for (const line of before.split('\n')) expect(after.split('\n')).toContain(line);
    const agents = (await loadAgents(to.agentsFile, {})).agents;
    expect(agents.find(({ id }) => id === 'writer')).toMatchObject({ name: 'My writer', backend: 'echo' });
    expect((await stat(to.agentsFile)).mode & 0o777).toBe(0o640);
    expect(await readFile(mine, 'utf8')).toContain('some day');
  });

  it('an agents file that cannot be used is left alone, and the token completes when it is mended', async () => {
    const ledger = await alone();
    const to = await places();
    await writeFile(to.agentsFile, 'agents: nonsense');
    await expect(seedGenesis(ledger, 'first', [], to)).rejects.toMatchObject({ code: 'invalid' });
    expect(await readFile(to.agentsFile, 'utf8')).toBe('agents: nonsense');
    await writeFile(to.agentsFile, 'default: a\nagents: [{ id: a, name: A, backend: echo }]\n');
    expect(await seedGenesis(ledger, 'first', [], to)).toMatchObject({ turn: 'seeded', resumed: true });
  });

  it('killed in between, at any step, the same command completes the rest and only that', async () => {
    const own = await node([], { found: true, shards: 1 });
    const to = await places();
    const real = seedLedger(own, systemClock);
    const dies = { ...real, finish: () => Promise.reject(new Error('killed')) };
    // After the agents, before the machines.
    await writeFile(to.machinesDir, 'no folder');
    await expect(seedGenesis(real, 'first', ['writer', 'ticket'], to)).rejects.toThrow();
    const { rm } = await import('node:fs/promises');
    await rm(to.machinesDir);
    // After everything, before the token is used up.
    await expect(seedGenesis(dies, 'first', [], to)).rejects.toThrow('killed');
    const rest = await seedGenesis(real, 'first', [], to);
    expect(rest).toMatchObject({ turn: 'seeded', resumed: true });
    // Still what the token was given for.
    expect(outcomes(rest)).toEqual({ writer: 'kept', ticket: 'kept' });
    expect(await ids(to)).toEqual(['echo', 'writer']);
    expect(await seedGenesis(real, 'first', [], to)).toMatchObject({ turn: 'done' });
  });

  it('a token that one node used is used up on every other', async () => {
    const hub = await relay();
    const [one, two] = [await node([hub], { found: true }), await node([hub])];
    const [here, there] = [await places(), await places()];
    await seedGenesis(seedLedger(one, systemClock), 'first', ['ticket'], here);
    await eventually(() => two.keys('seed')[Symbol.iterator]().next().done !== true);
    expect(await seedGenesis(seedLedger(two, systemClock), 'first', [], there)).toMatchObject({
      turn: 'done',
      replica: one.self.replica,
    });
    await expect(readdir(there.machinesDir)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('of two nodes that use one token at once, one carries it out and the other is refused', async () => {
    const hub = await relay();
    const nodes = [await node([hub], { found: true }), await node([hub])];
    const turns = await Promise.allSettled(
      nodes.map((one) => seedLedger(one, systemClock).begin('first', ['ticket'])),
    );
    const refused = turns.filter((one) => one.status === 'rejected');
    expect(turns.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    expect(refused.map(({ reason }) => (reason as { code: string }).code)).toEqual(['elsewhere']);
  });

  it('a token is a word, and the document holds only its hash', async () => {
    const own = await node([], { found: true, shards: 1 });
    const ledger = seedLedger(own, systemClock);
    for (const token of ['', 'two words', 'x'.repeat(201)]) {
      await expect(ledger.begin(token, [])).rejects.toMatchObject({ code: 'bad-token' });
    }
    await ledger.begin('first-token', ['ticket']);
    expect(JSON.stringify([...own.entries('seed')])).not.toContain('first-token');
    expect([...own.keys('cluster')]).toEqual(['cluster']);
  });
});

describe('the simple seed', () => {
  it('makes an agents file where there is none, and touches none that is there', async () => {
    const to = await places();
    expect(await seedSimple(to)).toMatchObject({ outcome: 'added' });
    expect(await ids(to)).toEqual(['echo']);
    await writeFile(to.agentsFile, 'default: a\nagents: [{ id: a, name: A, backend: echo }]\n');
    expect(await seedSimple(to)).toMatchObject({ outcome: 'kept' });
    expect(await ids(to)).toEqual(['a']);
  });
});
