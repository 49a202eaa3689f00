import { assign, setup } from 'xstate';

/** An order: placed for an amount, charged for once that amount is offered, shipped once it is paid. */
export const order = setup({
  guards: { covers: ({ context, event }) => event.offered >= context.amount },
  actions: {
    setAmount: assign({ amount: ({ event }) => event.amount }),
    setReceipt: assign({ receipt: ({ event }) => event.receipt }),
  },
}).createMachine({
  id: 'order',
  context: { amount: 0, receipt: null },
  initial: 'empty',
  states: {
    empty: { on: { PLACE: { target: 'placed', actions: 'setAmount' } } },
    placed: { on: { PAY: { target: 'charging', guard: 'covers' } } },
    // No implementation, so it is an effect: written down with the transition, carried out by one replica.
    charging: { entry: 'chargeCard', on: { CHARGED: { target: 'paid', actions: 'setReceipt' } } },
    paid: { on: { SHIP: 'shipped' } },
    shipped: { type: 'final' },
  },
});

/** The fields that guards and assignments read: nothing else of an event is kept. */
export const events = { PLACE: ['amount'], PAY: ['offered'], CHARGED: ['receipt'] };
