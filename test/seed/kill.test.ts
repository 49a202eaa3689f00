import { cp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadAgents } from '../../src/platform/agents.js';
import { genesisParts } from '../../src/seed/genesis.js';
import { systemClock } from '../../src/index.js';
import { seedLedger } from '../../src/seed/ledger.js';
import { seedGenesis, type GenesisOutcome } from '../../src/seed/seed.js';
import { oneOfEach, changing, forEachOf, takesAll } from '../actors/children/each.js';
import { CLUSTER, folder, node } from '../node/world.js';
import { compiledChildren, startChild } from '../storage/children/build.js';

const children = compiledChildren('test/seed/children', ['seed-child']);
const ticket = genesisParts.find(({ name }) => name === 'ticket');

/** Seeds with a process of its own; undefined when it died at that call. */
async function seed(
  dir: string,
  dieAt?: number,
): Promise<{ calls: string[]; seeded: GenesisOutcome } | undefined> {
  const args = [CLUSTER, join(dir, 'replica'), join(dir, 'agents.yaml'), join(dir, 'machines')];
  const child = startChild(children.path('seed-child'), [
    ...args,
    ...(dieAt === undefined ? [] : [`${dieAt}`]),
  ]);
  const end = await child.ended;
  const said = (what: string) => {
    const line = child.lines.find((one) => one.startsWith(`${what} `));
    return line === undefined ? undefined : (JSON.parse(line.slice(what.length + 1)) as never);
  };
  const [calls, seeded] = [said('calls'), said('seeded')];
  expect(end).toBe(calls === undefined ? 'SIGKILL' : 0);
  return calls === undefined || seeded === undefined ? undefined : { calls, seeded };
}

/** What is to be seen of the scaffold: every part whole or not at all, and nothing else. */
async function look(dir: string): Promise<{ agents: string[]; machines: string[] }> {
  const names = await readdir(dir);
  const agents = names.includes('agents.yaml') ? (await loadAgents(join(dir, 'agents.yaml'), {})).agents : [];
  const files = names.includes('machines') ? await readdir(join(dir, 'machines')) : [];
  const machines = files.filter((file) => file.endsWith('.json'));
  for (const file of machines) {
    expect(await readFile(join(dir, 'machines', file), 'utf8')).toBe(
      ticket?.kind === 'machine' && ticket.text,
    );
  }
  return { agents: agents.map(({ id }) => id), machines };
}

describe('killed at every file call of a seeding', () => {
  it('the parts that are there are whole, the same command completes the rest, and no third time does anything', async () => {
    const from = await folder();
    await (await node([], { dataDir: join(from, 'replica'), found: true, shards: 1 })).close();
    const whole = join(await folder(), 'whole');
    await cp(from, whole, { recursive: true });
    const { calls = [] } = (await seed(whole)) ?? {};
    const complete = { agents: ['echo', 'writer'], machines: ['ticket.json'] };
    expect(await look(whole)).toEqual(complete);
    expect(calls.filter((name) => name === 'link').length).toBeGreaterThanOrEqual(2);

    const counted = { nothing: 0, agents: 0, all: 0 };
    await forEachOf(oneOfEach(6, changing(calls)), async (call) => {
      const dir = join(await folder(), 'killed');
      await cp(from, dir, { recursive: true });
      expect(await seed(dir, call)).toBeUndefined();
      const { agents, machines } = await look(dir);
      counted[machines.length > 0 ? 'all' : agents.length > 0 ? 'agents' : 'nothing'] += 1;

      const again = await node([], { dataDir: join(dir, 'replica'), shards: 1 });
      const ledger = seedLedger(again, systemClock);
      const places = { agentsFile: join(dir, 'agents.yaml'), machinesDir: join(dir, 'machines'), env: {} };
      const rest = await seedGenesis(ledger, 'first', ['writer', 'ticket'], places);
      expect(rest.turn === 'seeded' || machines.length > 0).toBe(true);
      expect(await look(dir)).toEqual(complete);
      expect(await seedGenesis(ledger, 'first', [], places)).toMatchObject({ turn: 'done' });
      await again.close();
      expect(await look(dir)).toEqual(complete);
    });
    expect(Math.min(...Object.values(counted))).toBeGreaterThan(takesAll ? 2 : 0);
  }, 240_000);
});
