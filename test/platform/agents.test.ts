import { utimes, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { loadAgents, openAgents } from '../../src/platform/agents.js';
import { silentLog, type Log } from '../../src/telemetry/log.js';
import { onSqlite } from './databases.js';
import { AGENTS, ask, newChat, scratchFile, world } from './world.js';

const failure = async (content: string, env: NodeJS.ProcessEnv = {}) =>
  loadAgents(await scratchFile('agents.yaml', content), env).then(
    () => 'it was accepted',
    (error: Error) => error.message.replace(/^.*agents\.yaml: /, ''),
  );

it('accepts the file that comes with the project', async () => {
  const path = fileURLToPath(new URL('../../data/agents.yaml', import.meta.url));
  const set = await loadAgents(path, {});
  expect(set.defaultId).toBe('echo');
  expect(set.agents.map((agent) => agent.id)).toEqual(['echo', 'drill']);
});

it('names the agent and the field of what is wrong', async () => {
  const one = (agent: string) => `default: a\nagents:\n  - ${agent}`;
  expect(await failure(one('{ id: a, name: A, backend: parrot }'))).toMatch(/^agent "a": backend: .*"echo"/);
  expect(await failure(one('{ id: a, backend: echo }'))).toMatch(/^agent "a": name: /);
  expect(await failure(one('{ name: A, backend: echo }'))).toMatch(/^agent number 1: id: /);
  expect(await failure(one('{ id: a, name: A, backend: echo, modle: x }'))).toMatch(/^agent "a": .*"modle"/);
  expect(await failure(one('{ id: "a b", name: A, backend: echo }'))).toMatch(/^agent "a b": id: must be/);
  expect(await failure(one('{ id: b, name: B, backend: echo }'))).toBe(
    'default: "a" is not the id of an agent in the list',
  );
  const twice = `${one('{ id: a, name: A, backend: echo }')}\n  - { id: a, name: B, backend: echo }`;
  expect(await failure(twice)).toBe('agent "a": id: stands twice in the list');
  const model = one('{ id: a, name: A, backend: openai, model: m }');
  expect(await failure(model)).toMatch(/^agent "a": base_url: .*OPENAI_BASE_URL$/);
  expect(await failure(model, { OPENAI_BASE_URL: 'http://127.0.0.1:1' })).toBe('it was accepted');
  expect(await failure(one('{ id: a, name: A, backend: openai, base_url: "http://x" }'))).toMatch(
    /^agent "a": model/,
  );
  expect(await failure(one('{ id: a, name: A, backend: echo, base_url: "file:///x" }'))).toMatch(
    /^agent "a": base_url/,
  );
  expect(await failure('agents: [')).toMatch(/line 1/);
  expect(await failure('')).not.toBe('it was accepted');
  expect(await failure('default: a\nagents: []')).toMatch(/^agents: /);
  await expect(loadAgents('/nowhere/agents.yaml', {})).rejects.toMatchObject({
    code: 'unreadable',
    message: expect.stringContaining('/nowhere/agents.yaml'),
  });
});

it('keeps the last good content while the file is broken, and says so once per change', async () => {
  const path = await scratchFile('agents.yaml', AGENTS);
  const errors: unknown[] = [];
  const log: Log = { ...silentLog, error: (fields) => errors.push(fields) };
  const registry = await openAgents(path, {}, log);
  await writeFile(path, 'agents: [');
  for (let look = 0; look < 3; look++) expect((await registry.current()).agents).toHaveLength(2);
  expect(errors).toMatchObject([{ code: 'not-yaml' }]);
  await writeFile(path, AGENTS.replace('drill, name', 'other, name'));
  await utimes(path, new Date(), new Date(Date.now() + 5_000));
  expect(await registry.find('drill')).toBeUndefined();
  expect(await registry.find('other')).toMatchObject({ backend: 'drill' });
});

onSqlite((fresh) => {
  it('serves a changed file without a restart; a run of an agent that is gone ends with an error', async () => {
    const agentsFile = await scratchFile('agents.yaml', AGENTS);
    const { client } = await world(await fresh(), { agentsFile });
    expect(await client.agents()).toEqual([
      { id: 'echo', name: 'Echo', description: 'Repeats', isDefault: true },
      { id: 'drill', name: 'Drill', description: '', isDefault: false },
    ]);
    const chat = await newChat(client, 'drill');
    await writeFile(agentsFile, 'default: echo\nagents:\n  - { id: echo, name: Echo, backend: echo }\n');
    expect((await client.agents()).map((agent) => agent.id)).toEqual(['echo']);
    expect(await ask(client, chat, 'k', 'x')).toMatchObject([{ type: 'error', code: 'unknown-agent' }]);
    expect((await client.createChat('drill', { agent: 'drill' })).platform_chat_id).toBe(chat);
    await expect(client.createChat('new', { agent: 'drill' })).rejects.toMatchObject({ status: 422 });
  });
});
