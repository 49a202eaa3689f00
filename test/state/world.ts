import type { OpenNodeOptions, State, StateNode, StateOptions } from '../../src/index.js';
import { openState } from '../../src/index.js';
import type { LogEntry, Task } from '../../src/index.js';
import type { StateEventName, StateEvents } from '../../src/index.js';
import { afterEach } from 'vitest';
import { folder, node } from '../node/world.js';

const open: State[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((state) => state.shutdown()));
});

export const task = (fields: Partial<Task> = {}): Task => ({
  id: 'job/1',
  description: 'count the beans',
  status: 'queued',
  agent: 'counter',
  created_at: 1000,
  updated_at: 1000,
  started_at: null,
  completed_at: null,
  logs: [],
  result: null,
  ...fields,
});

export const entry = (n: number, message = `line ${n}`): LogEntry => ({
  timestamp: 2000 + n,
  level: 'info',
  type: 'step',
  message,
});

export interface World {
  one: StateNode;
  state: State;
  dir: string;
}

/** A node that is alone, and the state service over it in the same folder; nothing is saved by itself unless asked. */
export async function world(
  options: Partial<StateOptions> = {},
  ofNode: Partial<OpenNodeOptions> = {},
): Promise<World> {
  const dir = options.dir ?? (await folder());
  const one = await node([], { found: true, dataDir: dir, ...ofNode });
  return { one, dir, state: await serviceOver(one, { dir, ...options }) };
}

export async function serviceOver(one: StateNode, options: StateOptions): Promise<State> {
  const state = await openState(one, { autosaveMs: 0, ...options });
  open.push(state);
  return state;
}

/** What a listener to one event has heard. */
export function heard<Name extends StateEventName>(state: State, name: Name): StateEvents[Name][] {
  const events: StateEvents[Name][] = [];
  state.on(name, (event) => void events.push(event));
  return events;
}

/** Not `expect(…).rejects`: the runner would wait for one that has no end. */
export const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: { code?: unknown }) => error.code,
  );
