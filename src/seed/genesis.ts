import type { AgentDefinition } from '../platform/agents.js';

/** The models of the starter agents are those of a local Ollama; base_url and model are there to be changed. */
const local = { backend: 'openai', base_url: 'http://127.0.0.1:11434/v1', model: 'llama3.2' } as const;

/** Agents to begin with, by name. */
const agents: readonly AgentDefinition[] = [
  {
    id: 'assistant',
    name: 'Assistant',
    description: 'Answers questions, briefly.',
    ...local,
    system_prompt: 'You are a helpful assistant. Answer briefly, and say so when you do not know.',
  },
  {
    id: 'writer',
    name: 'Writer',
    description: 'Drafts and improves texts.',
    ...local,
    system_prompt:
      'You draft and improve texts. Keep the meaning and the tone; give the text and nothing else.',
  },
  {
    id: 'reviewer',
    name: 'Reviewer',
    description: 'Looks for mistakes in texts and code.',
    ...local,
    system_prompt:
      'You review what you are given. List what is wrong, the worst first, each in one sentence.',
  },
];

/** Machines to begin with, in the format of docs/machines.md: what many bots need, to be changed. */
const machines = [
  {
    id: 'approval',
    version: 1,
    description: 'Somebody is asked and says yes or no; after a day the question is closed.',
    context: { asked_at: 0, decided_by: null },
    events: { ASK: [], APPROVE: ['by'], REJECT: ['by'] },
    initial: 'open',
    states: {
      open: { on: { ASK: { target: 'pending', assign: { asked_at: { event: 'ts' } } } } },
      pending: {
        entry: 'ask',
        on: {
          APPROVE: { target: 'approved', assign: { decided_by: { event: 'by' } } },
          REJECT: { target: 'rejected', assign: { decided_by: { event: 'by' } } },
        },
        after: { '24h': 'expired' },
      },
      approved: { type: 'final', entry: { type: 'tell', params: { outcome: 'approved' } } },
      rejected: { type: 'final', entry: { type: 'tell', params: { outcome: 'rejected' } } },
      expired: { type: 'final', entry: { type: 'tell', params: { outcome: 'expired' } } },
    },
  },
  {
    id: 'ticket',
    version: 1,
    description: 'A request is taken up, solved, and closed a week later unless it comes back.',
    context: { assignee: null, reopened: 0 },
    events: { ASSIGN: ['to'], SOLVE: [], REOPEN: [] },
    initial: 'new',
    states: {
      new: { on: { ASSIGN: { target: 'assigned', assign: { assignee: { event: 'to' } } } } },
      assigned: {
        entry: 'notify-assignee',
        on: { ASSIGN: { target: 'assigned', assign: { assignee: { event: 'to' } } }, SOLVE: 'solved' },
      },
      solved: {
        on: { REOPEN: { target: 'assigned', assign: { reopened: { add: 1 } } } },
        after: { '7d': 'closed' },
      },
      closed: { type: 'final' },
    },
  },
  {
    id: 'reminder',
    version: 1,
    description: 'Rings an hour after it was set, and again until somebody stops it.',
    context: { rung: 0 },
    events: { SET: [], STOP: [] },
    initial: 'off',
    states: {
      off: { on: { SET: { target: 'waiting', assign: { rung: { set: 0 } } } } },
      waiting: {
        on: { STOP: 'off' },
        after: { '1h': { target: 'waiting', assign: { rung: { add: 1 } }, actions: 'ring' } },
      },
    },
  },
] as const;

/** One part of the scaffold; `all` stands for every one. */
export type GenesisPart =
  | { readonly kind: 'agent'; readonly name: string; readonly agent: AgentDefinition }
  | { readonly kind: 'machine'; readonly name: string; readonly text: string };

/** What `understudy seed genesis` can make, by name. */
export const genesisParts: readonly GenesisPart[] = [
  ...agents.map((agent) => ({ kind: 'agent', name: agent.id, agent }) as const),
  ...machines.map(
    (machine) =>
      ({ kind: 'machine', name: machine.id, text: `${JSON.stringify(machine, undefined, 2)}\n` }) as const,
  ),
];
