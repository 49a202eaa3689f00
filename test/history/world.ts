import { assign, setup } from 'xstate';
import type { OpenNodeOptions, StateNode } from '../../src/index.js';
import { node } from '../node/world.js';

const light = setup({
  types: {
    context: {} as { turns: number },
    events: {} as { type: 'GO' | 'STOP' | 'BREAK'; by?: number },
  },
  actions: {
    count: assign({ turns: ({ context, event }) => context.turns + (event.by ?? 1) }),
    lamp: () => {},
    explode: assign(() => {
      throw new Error('no such lamp');
    }),
  },
}).createMachine({
  id: 'light',
  context: { turns: 0 },
  initial: 'red',
  states: {
    red: { on: { GO: { target: 'green', actions: 'count' }, BREAK: { actions: 'explode' } } },
    green: { entry: { type: 'lamp', params: { colour: 'green' } }, on: { STOP: 'red' } },
  },
});
const options = { events: { GO: ['by'] } };

/** A node that knows the traffic light, and whose shards are cut when a test says so. */
export async function lit(
  relays: readonly { url: string }[],
  opening: Partial<OpenNodeOptions> = {},
): Promise<StateNode> {
  const opened = await node(relays, {
    shards: 1,
    found: relays.length === 0,
    generations: { events: 1 },
    ...opening,
  });
  opened.actors.register(light, options);
  return opened;
}

export const LIGHT = 'light/!room:x';

/** Sends events to the light, each with a time of its own: what they are caused by is their place. */
export async function go(
  to: StateNode,
  ...events: [type: 'GO' | 'STOP' | 'BREAK', id: string, ts: number][]
) {
  for (const [type, id, ts] of events) {
    await to.actors.get(LIGHT).send({ type, ...(type === 'GO' && { by: 2 }) }, { cause: { id, ts } });
  }
}

export const cut = (of: StateNode): Promise<number> => of.cutIfDue({ mayCut: () => true });
