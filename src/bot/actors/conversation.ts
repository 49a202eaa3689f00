import { assign, setup } from 'xstate';
import type { MachineOptions } from '../../actors/machines.js';

/** What a room's conversation keeps: ids, times, codes. */
export interface ConversationContext {
  /** The prompt being answered, by its event. */
  readonly prompt: string | null;
  /** When that was said, milliseconds. */
  readonly since: number | null;
  readonly agent: string | null;
  /** Id of the approval that the agent waits for. */
  readonly approval: string | null;
  /** Prompts so far. */
  readonly prompts: number;
  /** Commands, invites and the like so far. */
  readonly noted: number;
  /** How the last prompt ended. */
  readonly outcome: string | null;
}

interface ConversationEvent {
  readonly type: 'PROMPT' | 'NOTED' | 'BOUND' | 'ASKED' | 'RESUMED' | 'REPLYING' | 'SETTLED' | 'ARCHIVED';
  readonly ts: number;
  readonly id: string;
  /** The prompt that it is about. */
  readonly source?: string;
  readonly agent?: string;
  readonly approval?: string;
  readonly outcome?: string;
  readonly failed?: boolean;
}

type Given = { context: ConversationContext; event: ConversationEvent };

const ended = {
  prompt: null,
  since: null,
  approval: null,
  outcome: ({ event }: Given) => event.outcome ?? null,
} as const;

// The hash of a definition does not cover what these assignments and guards do: whoever changes one raises the
// version.
/** A room: actor `conversation/<room id>`. */
export const conversationMachine = setup({
  types: { context: {} as ConversationContext, events: {} as ConversationEvent },
  guards: {
    isCurrent: ({ context, event }) => context.prompt !== null && context.prompt === event.source,
    endsBadly: ({ context, event }) =>
      context.prompt !== null && context.prompt === event.source && event.failed === true,
    hasPrompt: ({ context }) => context.prompt !== null,
  },
  actions: {
    take: assign({
      prompt: ({ event }) => event.id,
      since: ({ event }) => event.ts,
      approval: null,
      prompts: ({ context }) => context.prompts + 1,
    }),
    bind: assign({ agent: ({ context, event }) => event.agent ?? context.agent }),
    ask: assign({ approval: ({ event }) => event.approval ?? '' }),
    resume: assign({ approval: null }),
    note: assign({ noted: ({ context }) => context.noted + 1 }),
    settle: assign(ended),
  },
}).createMachine({
  id: 'conversation',
  version: '1',
  context: { prompt: null, since: null, agent: null, approval: null, prompts: 0, noted: 0, outcome: null },
  initial: 'unbound',
  // What is neither prompt nor answer counts, and moves nothing: it must stand here before its mark (PROTOCOL C4).
  on: { NOTED: { actions: 'note' }, BOUND: { actions: 'bind' }, ARCHIVED: '.archived' },
  states: {
    unbound: {
      on: {
        PROMPT: { actions: 'take' },
        BOUND: [
          { guard: 'hasPrompt', target: 'thinking', actions: 'bind' },
          { target: 'idle', actions: 'bind' },
        ],
        SETTLED: { guard: 'isCurrent', actions: 'settle' },
      },
    },
    idle: { on: { PROMPT: { target: 'thinking', actions: 'take' } } },
    thinking: {
      on: {
        PROMPT: { actions: 'take' },
        ASKED: { guard: 'isCurrent', target: 'awaitingApproval', actions: 'ask' },
        REPLYING: { guard: 'isCurrent', target: 'replying' },
        SETTLED: [
          { guard: 'endsBadly', target: 'failed', actions: 'settle' },
          { guard: 'isCurrent', target: 'idle', actions: 'settle' },
        ],
      },
    },
    awaitingApproval: {
      on: {
        PROMPT: { target: 'thinking', actions: 'take' },
        RESUMED: { guard: 'isCurrent', target: 'thinking', actions: 'resume' },
        REPLYING: { guard: 'isCurrent', target: 'replying', actions: 'resume' },
        SETTLED: [
          { guard: 'endsBadly', target: 'failed', actions: 'settle' },
          { guard: 'isCurrent', target: 'idle', actions: 'settle' },
        ],
      },
    },
    replying: {
      on: {
        PROMPT: { target: 'thinking', actions: 'take' },
        SETTLED: [
          { guard: 'endsBadly', target: 'failed', actions: 'settle' },
          { guard: 'isCurrent', target: 'idle', actions: 'settle' },
        ],
      },
    },
    failed: { on: { PROMPT: { target: 'thinking', actions: 'take' } } },
    archived: { on: { PROMPT: { target: 'thinking', actions: 'take' } } },
  },
});

export const conversationOptions: MachineOptions = {
  events: {
    BOUND: ['agent'],
    ASKED: ['source', 'approval'],
    RESUMED: ['source', 'approval'],
    REPLYING: ['source'],
    SETTLED: ['source', 'outcome', 'failed'],
  },
};
