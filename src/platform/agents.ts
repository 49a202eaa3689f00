import { readFile, stat } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import type { Log } from '../telemetry/log.js';

const agentId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be 1 to 64 letters, digits, ".", "_" or "-"');

const agentSchema = z.strictObject({
  id: agentId,
  name: z.string().min(1).max(100),
  description: z.string().max(500).default(''),
  backend: z.enum(['echo', 'drill', 'openai']),
  model: z.string().min(1).optional(),
  base_url: z.url({ protocol: /^https?$/ }).optional(),
  system_prompt: z.string().optional(),
});

const fileSchema = z.strictObject({ default: z.string(), agents: z.array(agentSchema).min(1) });

export type AgentDefinition = z.infer<typeof agentSchema>;

export interface AgentSet {
  readonly defaultId: string;
  readonly agents: readonly AgentDefinition[];
}

/** The registry file cannot be used. The message is one line that names the file, the agent and the field. */
export class AgentsFileError extends Error {
  constructor(
    readonly code: 'unreadable' | 'not-yaml' | 'invalid',
    message: string,
  ) {
    super(message);
    this.name = 'AgentsFileError';
  }
}

/** Reads and checks `agents.yaml`. Rejects with {@link AgentsFileError}. */
export async function loadAgents(path: string, env: NodeJS.ProcessEnv): Promise<AgentSet> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new AgentsFileError('unreadable', `${path}: cannot be read (${(error as Error).message})`);
  }
  return parseAgents(path, text, env);
}

/** @throws {AgentsFileError} naming `path`, for what stands or is to stand there. */
export function parseAgents(path: string, text: string, env: NodeJS.ProcessEnv): AgentSet {
  const document = parseDocument(text);
  const mistake = document.errors[0];
  if (mistake) throw new AgentsFileError('not-yaml', `${path}: ${mistake.message.split('\n')[0]}`);
  let content: unknown;
  try {
    content = document.toJS();
  } catch (error) {
    throw new AgentsFileError('not-yaml', `${path}: ${(error as Error).message}`);
  }
  const parsed = fileSchema.safeParse(content);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new AgentsFileError('invalid', `${path}: ${describeIssue(issue!, content)}`);
  }
  const invalid = checkTogether(parsed.data, env);
  if (invalid) throw new AgentsFileError('invalid', `${path}: ${invalid}`);
  return { defaultId: parsed.data.default, agents: parsed.data.agents };
}

/** What no single field can show. Returns the complaint, or undefined. */
function checkTogether(file: z.infer<typeof fileSchema>, env: NodeJS.ProcessEnv): string | undefined {
  const seen = new Set<string>();
  for (const agent of file.agents) {
    if (seen.has(agent.id)) return `agent "${agent.id}": id: stands twice in the list`;
    seen.add(agent.id);
    if (agent.backend !== 'openai') continue;
    if (!agent.model) return `agent "${agent.id}": model: needed by the openai backend`;
    if (!agent.base_url && !env['OPENAI_BASE_URL'])
      return `agent "${agent.id}": base_url: needed by the openai backend, here or as OPENAI_BASE_URL`;
  }
  if (!seen.has(file.default)) return `default: "${file.default}" is not the id of an agent in the list`;
  return undefined;
}

const agentAt = z.object({ agents: z.array(z.unknown()) });
const withId = z.object({ id: z.string() });

function describeIssue(issue: z.core.$ZodIssue, content: unknown): string {
  const [list, index, ...field] = issue.path;
  if (list !== 'agents' || typeof index !== 'number') {
    return [issue.path.join('.'), issue.message].filter(Boolean).join(': ');
  }
  const agents = agentAt.safeParse(content);
  const named = withId.safeParse(agents.success ? agents.data.agents[index] : undefined);
  const who = named.success ? `agent "${named.data.id}"` : `agent number ${index + 1}`;
  return [who, field.join('.'), issue.message].filter(Boolean).join(': ');
}

/** The agents as the file has them now. */
export interface AgentRegistry {
  current(): Promise<AgentSet>;
  find(id: string): Promise<AgentDefinition | undefined>;
}

/**
 * Opens the registry file and follows its changes: each look compares the file's time and size, so an edit
 * counts from the next call on. While a changed file cannot be used, the last good content stays, with one
 * error line per change. Rejects with {@link AgentsFileError} when the file cannot be used at the start.
 */
export async function openAgents(path: string, env: NodeJS.ProcessEnv, log: Log): Promise<AgentRegistry> {
  let version = await fileVersion(path);
  let set = await loadAgents(path, env);
  /** The version that was said to be unusable. */
  let told: string | undefined;
  const refresh = async () => {
    const now = await fileVersion(path);
    if (now === version) return set;
    try {
      set = await loadAgents(path, env);
      [version, told] = [now, undefined];
      log.info({ file: path, agents: set.agents.map((agent) => agent.id) }, 'agents file read again');
    } catch (error) {
      if (!(error instanceof AgentsFileError)) throw error;
      // What could not be read for now is read at the next look; what is wrong in it stays wrong until it changes.
      if (error.code !== 'unreadable') version = now;
      if (told === now) return set;
      told = now;
      log.error(
        { file: path, code: error.code, error: error.message },
        'agents file unusable, kept the last',
      );
    }
    return set;
  };
  return {
    current: refresh,
    find: async (id) => (await refresh()).agents.find((agent) => agent.id === id),
  };
}

async function fileVersion(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (error) {
    return `absent: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`;
  }
}
