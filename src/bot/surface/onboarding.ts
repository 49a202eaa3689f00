import type { Records } from '../records.js';
import type { Source, SourceRef } from '../source.js';
import type { Choice } from './agents.js';
import type { Chats } from './chats.js';
import { onboardingSource } from './ledger.js';
import type { Healing } from './healing.js';

export interface OnboardingDeps {
  records: Records;
  healing: Pick<Healing, 'home'>;
  chats: Chats;
  now: () => number;
  /** Puts the greeting into the engine (and the journal) and resolves to its source. */
  greet: (ref: SourceRef) => Promise<Source>;
}

export type Welcome = { space: string; room: string } | Extract<Choice, { gone: string }>;

/**
 * Brings a person in, once, by however many replicas, invites and first prompts (PROTOCOL P4): space, first chat
 * room C1 with a context of its own, greeting. Keyed by the person; each step finds what an earlier one left.
 */
export class Onboarding {
  private readonly underWay = new Map<string, Promise<Welcome>>();

  constructor(private readonly deps: OnboardingDeps) {}

  /** Resolves when the person has a space that stands, C1 and greeting. */
  async ensure(person: string, signal: AbortSignal): Promise<Welcome> {
    for (;;) {
      const room = this.done(person);
      if (room !== undefined) {
        const { space } = await this.deps.healing.home(person, signal);
        return { space, room };
      }
      const other = this.underWay.get(person);
      if (other === undefined) break;
      // Its failure is its caller's to handle; this caller looks again and goes on itself.
      await Promise.allSettled([other]);
      signal.throwIfAborted();
    }
    const running = this.bring(person, signal);
    this.underWay.set(person, running);
    try {
      return await running;
    } finally {
      this.underWay.delete(person);
    }
  }

  /** C1, where all is there. */
  private done(person: string): string | undefined {
    const { records } = this.deps;
    const room = records.chatRoom(person, onboardingSource(person));
    const isIn = records.user(person)?.space_id !== undefined && room !== undefined;
    return isIn && records.marked(this.greeting(person, room)) ? room : undefined;
  }

  private async bring(person: string, signal: AbortSignal): Promise<Welcome> {
    const { healing, chats, greet } = this.deps;
    const cause = { id: onboardingSource(person) };
    const { space } = await healing.home(person, signal);
    const chat = await chats.make(cause, person, space, { name: 'Chat' }, signal);
    if ('gone' in chat) return chat;
    const greeting = await greet(this.greeting(person, chat.room));
    while (greeting.settled === undefined) {
      signal.throwIfAborted();
      await greeting.changed(signal);
    }
    return { space, room: chat.room };
  }

  private greeting(person: string, room: string): SourceRef {
    return { id: onboardingSource(person), room, sender: person, ts: this.deps.now(), kind: 'greeting' };
  }
}
