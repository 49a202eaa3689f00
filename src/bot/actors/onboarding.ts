import { assign, setup } from 'xstate';
import type { MachineOptions } from '../../actors/machines.js';

/** How far a person's way in has come. */
export interface OnboardingContext {
  readonly space: string | null;
  readonly room: string | null;
  /** When the person was greeted, milliseconds. */
  readonly greeted_at: number | null;
}

interface OnboardingEvent {
  readonly type: 'SPACE' | 'CHAT' | 'GREETED';
  readonly ts: number;
  /** A room id. */
  readonly room?: string;
}

/** A person's way in (PROTOCOL P4): actor `onboarding/<mxid>`. */
export const onboardingMachine = setup({
  types: { context: {} as OnboardingContext, events: {} as OnboardingEvent },
  actions: {
    keepSpace: assign({ space: ({ event }) => event.room ?? null }),
    keepChat: assign({ room: ({ event }) => event.room ?? null }),
    greeted: assign({ greeted_at: ({ event }) => event.ts }),
  },
}).createMachine({
  id: 'onboarding',
  version: '1',
  context: { space: null, room: null, greeted_at: null },
  initial: 'new',
  states: {
    new: {
      on: {
        SPACE: { target: 'space', actions: 'keepSpace' },
        // After a merge a later step may stand before an earlier one.
        CHAT: { target: 'chat', actions: 'keepChat' },
        GREETED: { target: 'greeted', actions: 'greeted' },
      },
    },
    space: {
      on: {
        SPACE: { actions: 'keepSpace' },
        CHAT: { target: 'chat', actions: 'keepChat' },
        GREETED: { target: 'greeted', actions: 'greeted' },
      },
    },
    chat: {
      on: {
        SPACE: { actions: 'keepSpace' },
        CHAT: { actions: 'keepChat' },
        GREETED: { target: 'greeted', actions: 'greeted' },
      },
    },
    greeted: { on: { SPACE: { actions: 'keepSpace' }, CHAT: { actions: 'keepChat' } } },
  },
});

export const onboardingOptions: MachineOptions = { events: { SPACE: ['room'], CHAT: ['room'] } };
