import { APPROVAL_KEY } from '../../../src/bot/approvals/request.js';
import type { CommandName } from '../../../src/bot/surface/commands/list.js';
import { stepKey } from '../../../src/bot/surface/platform-key.js';
import type { Verdict } from '../../../src/platform/client.js';
import type { Performer } from './performer.js';
import type { Step } from './steps.js';

/** What a command is said in, made ready beforehand. */
export interface Ready {
  room: string;
  /** Of whom a step may also speak, besides the command itself: the key of the run that it ends. */
  also?: string;
  /** A prompt that the command answers too. */
  prompt?: string;
}

/** One way to use a command, and its steps in order, as an undisturbed run makes them. */
export interface Row {
  /** `number` is no command: it answers the list of one. */
  command: CommandName | 'number';
  /** `word` stands in this use alone. */
  says: (word: string) => string;
  /** What its answer holds. */
  token: string;
  steps: readonly Step[];
  /** Default: the performer's first chat. */
  ready?: (performer: Performer) => Promise<Ready>;
  /** What it tells the platform of the question that `ready` had an agent ask. */
  decides?: Verdict;
  /** A prompt afterwards, in the room itself or the one that was made: which agent answers it, as which prompt of its context. */
  probe?: { room: 'here' | 'new'; says: string };
  /** Brings things back to where the next command begins. */
  after?: (performer: Performer, room: string) => Promise<unknown>;
}

const made = ['createRoom', 'ledger'] as const;
const announced = ['name', 'child', 'invite', 'answer'] as const;

/** The performer's first chat. */
export const here = (performer: Performer): Ready => ({ room: performer.chat });
/** A chat of its own: what is done there changes no other command's. */
const another = async (performer: Performer): Promise<Ready> => ({ room: await performer.another() });
const loaded = async (performer: Performer) => {
  await performer.tell(performer.chat, '!load tomatoes', 'Loaded “tomatoes”');
  return here(performer);
};
/** A chat of its own, so that nothing stays agreed to elsewhere, where an agent has asked and the run waits. */
const asked = (verdict: 'approved' | 'denied') => async (performer: Performer) => {
  const room = await performer.another();
  const answer = await performer.command(room, 'approve', `drill #1: approve [${verdict}]`);
  answer.asks = /^Drill #1 wants to go on\./;
  const { prompt } = answer;
  await performer.person.until(room, 'the question and the placeholder', (history) => {
    const replies = history.filter(
      ({ content }) => content['m.relates_to']?.['m.in_reply_to']?.event_id === prompt,
    );
    const questions = replies.filter(({ content }) => APPROVAL_KEY in content);
    return questions.length > 0 && replies.length > questions.length;
  });
  return { room, prompt };
};

/** Every command; who adds one adds its row. */
export const rows: readonly Row[] = [
  {
    command: 'new',
    says: (word) => `!new ${word}`,
    token: 'Made C',
    steps: [...made, 'createChat', ...announced],
    probe: { room: 'new', says: 'drill #1' },
  },
  {
    command: 'branch',
    says: (word) => `!branch ${word}`,
    token: 'Branched into C',
    steps: [...made, 'branchChat', ...announced],
    ready: loaded,
    probe: { room: 'new', says: 'drill #2' },
  },
  { command: 'chats', says: () => '!chats', token: 'Your chats', steps: ['answer'] },
  {
    command: 'rename',
    says: (word) => `!rename ${word}`,
    token: 'This chat is called',
    steps: ['name', 'answer'],
  },
  {
    command: 'archive',
    says: () => '!archive',
    token: 'is archived.',
    steps: ['archived', 'child', 'answer'],
    ready: another,
  },
  {
    command: 'save',
    says: (word) => `!save ${word}`,
    token: 'Saved as',
    steps: ['saveContext', 'answer'],
    ready: another,
  },
  {
    command: 'load',
    says: () => '!load',
    token: '1. tomatoes',
    steps: ['answer'],
    // Its list would be what is pending for this person's next !yes or !no.
    after: (performer, room) => performer.tell(room, '1', 'Loaded “tomatoes”'),
  },
  {
    command: 'load',
    says: () => '!load tomatoes',
    token: 'Loaded “tomatoes”',
    steps: ['loadContext', 'answer'],
    probe: { room: 'here', says: 'drill #2' },
  },
  {
    command: 'number',
    says: () => '1',
    token: 'Loaded “tomatoes”',
    steps: ['loadContext', 'answer'],
    ready: async (performer) => {
      await performer.tell(performer.chat, '!load', '1. tomatoes');
      return here(performer);
    },
    probe: { room: 'here', says: 'drill #2' },
  },
  {
    command: 'context',
    says: () => '!context',
    token: 'loaded: tomatoes',
    steps: ['answer'],
    ready: loaded,
  },
  {
    command: 'threads',
    says: () => '!threads own',
    token: 'Each thread here has a context of its own',
    steps: ['answer'],
    ready: another,
  },
  { command: 'agents', says: () => '!agents', token: '→ drill: Drill', steps: ['answer'] },
  {
    command: 'agent',
    says: () => '!agent echo',
    token: 'now talks to Echo',
    steps: ['createChat', 'answer'],
    ready: another,
    probe: { room: 'here', says: 'echo #1' },
    after: (performer, room) => performer.tell(room, '!agent drill', 'now talks to Drill'),
  },
  {
    command: 'cancel',
    says: () => '!cancel',
    token: 'Asked the agent to stop.',
    steps: ['cancelRun', 'answer'],
    ready: async (performer) => {
      const room = performer.chat;
      const { prompt } = await performer.command(room, 'wait 900', 'Cancelled.');
      await performer.person.until(room, 'the placeholder', (history) =>
        history.some(({ content }) => content['m.relates_to']?.['m.in_reply_to']?.event_id === prompt),
      );
      return { room, prompt, also: stepKey(prompt, 'send') };
    },
  },
  { command: 'status', says: () => '!status', token: 'answered by', steps: ['answer'] },
  { command: 'help', says: () => '!help', token: 'Commands:', steps: ['answer'] },
  { command: 'help', says: () => '!help save', token: '!save NAME', steps: ['answer'] },
  { command: 'yes', says: () => '!yes', token: 'Nothing is pending.', steps: ['answer'] },
  { command: 'no', says: () => '!no', token: 'Nothing is pending.', steps: ['answer'] },
  {
    command: 'yes',
    says: () => '!yes',
    token: '✅ Approved.',
    steps: ['decide', 'answer'],
    decides: 'approve',
    ready: asked('approved'),
    probe: { room: 'here', says: 'drill #2' },
  },
  {
    command: 'yes',
    says: () => '!yes always',
    token: '♾️ Approved, here always.',
    steps: ['decide', 'answer'],
    decides: 'always',
    ready: asked('approved'),
    // What was agreed to always is not asked again.
    after: (performer, room) => performer.tell(room, 'approve', 'drill #2: approve [approved]'),
  },
  {
    command: 'no',
    says: () => '!no',
    token: '❌ Declined.',
    steps: ['decide', 'answer'],
    decides: 'deny',
    ready: asked('denied'),
    probe: { room: 'here', says: 'drill #2' },
  },
];

/** The keys under which the platform is asked for what a source causes (PROTOCOL P1). */
export const platformKeys = (source: string): string[] =>
  ['createChat', 'branchChat', 'save', 'load', 'decide'].map((step) => stepKey(source, step));
