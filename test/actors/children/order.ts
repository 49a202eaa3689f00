import { assign, setup } from 'xstate';
import type { MachineOptions } from '../../../src/index.js';

const parts = setup({
  types: {
    context: {} as { items: number; payments: number; parked: number },
    events: {} as { type: 'ADD'; items?: number } | { type: 'PLACE' | 'PAID' | 'PARK' },
  },
  actions: {
    add: assign({
      items: ({ context, event }) => context.items + ((event as { items?: number }).items ?? 1),
    }),
    notePayment: assign({ payments: ({ context }) => context.payments + 1 }),
    noteParked: assign({ parked: ({ context }) => context.parked + 1 }),
    charge: () => {},
    ship: () => {},
  },
  guards: { hasItems: ({ context }) => context.items > 0 },
});

/** For how long an order is parked, milliseconds. */
export const PARKED_MS = 600;

/** An order that is paid by an effect whose result comes back, and is parked by a timer. */
export const orderParkedFor = (parkedMs: number) =>
  parts.createMachine({
    id: 'order',
    context: { items: 0, payments: 0, parked: 0 },
    initial: 'cart',
    states: {
      cart: {
        on: {
          ADD: { actions: 'add' },
          PLACE: { target: 'paying', guard: 'hasItems' },
          PARK: 'waiting',
        },
      },
      paying: {
        entry: { type: 'charge', params: { currency: 'EUR' } },
        on: { PAID: { target: 'paid', actions: 'notePayment' } },
      },
      paid: { entry: 'ship', on: { PAID: { actions: 'notePayment' } } },
      waiting: { after: { [parkedMs]: { target: 'cart', actions: 'noteParked' } } },
    },
  });
export const order = orderParkedFor(PARKED_MS);

/** Version 2, so that an actor's first change holds two events: the upgrade and its cause. */
export const ORDER: MachineOptions = { version: 2, events: { ADD: ['items'] } };
export const KEY = 'order/1';
export const CLUSTER = 'test-cluster-secret';
