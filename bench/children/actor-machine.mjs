import { assign, setup } from 'xstate';

/** A conversation as a bot keeps it: nested states, guards, a context that grows a little, no effects and no timers. */
export const conversation = setup({
  guards: {
    allowed: ({ context, event }) => event.attempt <= context.limit,
    spent: ({ context }) => context.turns % 1000 === 999,
  },
  actions: {
    ask: assign({ turns: ({ context }) => context.turns + 1, source: ({ event }) => event.id }),
    note: assign({ answered: ({ event }) => event.ts }),
  },
}).createMachine({
  id: 'conversation',
  context: { turns: 0, limit: 3, source: null, answered: 0 },
  initial: 'idle',
  states: {
    idle: { on: { PROMPT: { target: 'busy', guard: 'allowed', actions: 'ask' }, ARCHIVE: 'archived' } },
    busy: {
      initial: 'thinking',
      states: {
        thinking: { on: { APPROVE: 'waiting', REPLY: { target: 'replying', actions: 'note' } } },
        waiting: { on: { DECIDED: 'thinking' } },
        replying: {
          on: { SENT: [{ target: '#conversation.archived', guard: 'spent' }, '#conversation.idle'] },
        },
      },
    },
    archived: { type: 'final' },
  },
});

export const events = { PROMPT: ['attempt'] };

const ROUND = [{ type: 'PROMPT', attempt: 1 }, { type: 'REPLY' }, { type: 'SENT' }];
/** The event that comes after `turn` others: each of them moves the actor. */
export const eventAfter = (turn) => ROUND[turn % ROUND.length];
/** Where an actor stands after `turn` events, as text. */
export const stateAfter = (turn) =>
  JSON.stringify(['idle', { busy: 'thinking' }, { busy: 'replying' }][turn % ROUND.length]);
