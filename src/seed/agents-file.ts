import { readFile } from 'node:fs/promises';
import { isSeq, parseDocument, YAMLMap, YAMLSeq } from 'yaml';
import { parseAgents, type AgentDefinition } from '../platform/agents.js';
import { errnoOf } from '../storage/file-layer.js';
import { newFile, replaceFile } from './new-file.js';

const HEAD = `# The agents that people can choose from. The platform reads this file again whenever it changes.
# Fields: id, name, description, backend (echo, drill or openai), model, base_url, system_prompt.
`;

/** In a file that is not there yet, so that it works without a model. */
const ECHO: AgentDefinition = {
  id: 'echo',
  name: 'Echo',
  description: 'Repeats what you say, with the number of your message in this room.',
  backend: 'echo',
};

/**
 * Adds agents to the registry file; those whose id is taken stay as they are, and so do all comments. Gives the ids
 * that were added.
 *
 * @throws {AgentsFileError} when what stands there cannot be used; it is left alone.
 */
export async function addAgents(
  path: string,
  agents: readonly AgentDefinition[],
  env: NodeJS.ProcessEnv,
): Promise<string[]> {
  const text = await readIfThere(path);
  if (text === undefined) return beginFile(path, agents, env);
  const known = new Set(parseAgents(path, text, env).agents.map(({ id }) => id));
  const added = agents.filter(({ id }) => !known.has(id));
  if (added.length === 0) return [];
  const document = parseDocument(text);
  const list = document.get('agents');
  if (!isSeq(list)) throw new TypeError(`${path} was read and has no list of agents`);
  for (const agent of added) {
    const node = document.createNode(agent);
    node.spaceBefore = true;
    list.add(node);
  }
  const next = document.toString({ lineWidth: 0 });
  parseAgents(path, next, env);
  await replaceFile(path, next);
  return added.map(({ id }) => id);
}

async function beginFile(
  path: string,
  agents: readonly AgentDefinition[],
  env: NodeJS.ProcessEnv,
): Promise<string[]> {
  const document = parseDocument(HEAD);
  const list = new YAMLSeq();
  for (const agent of [ECHO, ...agents]) list.add(document.createNode(agent));
  const map = new YAMLMap();
  map.set('default', ECHO.id);
  map.set('agents', list);
  document.contents = map as never;
  const text = document.toString({ lineWidth: 0 });
  parseAgents(path, text, env);
  // Somebody made it meanwhile: then that one is added to.
  return (await newFile(path, text)) ? agents.map(({ id }) => id) : addAgents(path, agents, env);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
