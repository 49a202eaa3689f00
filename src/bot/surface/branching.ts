import { type PlatformClient, PlatformError } from '../../platform/client.js';
import type { Homeserver } from '../../matrix/homeserver.js';
import { meaningOf } from '../intake.js';
import type { Cause } from '../records.js';
import type { Choice } from './agents.js';
import type { Binding, Bound } from './binding.js';
import { stepKey } from './platform-key.js';
import { eventsAfter } from './room-history.js';
import type { Place } from './threads.js';

export interface BranchingDeps {
  homeserver: Homeserver;
  platform: PlatformClient;
  binding: () => Binding;
  self: string;
}

/** The context of a room that `!branch` makes. */
export class Branching {
  constructor(private readonly deps: BranchingDeps) {}

  /**
   * A context with what was said in the place before the command, and nothing later, whenever it is carried out
   * (PROTOCOL P3): it ends before the first run there of a prompt that stands after the command.
   */
  async branch(
    from: Place,
    person: string,
    cause: Cause,
    signal: AbortSignal,
  ): Promise<Bound | Extract<Choice, { gone: string }>> {
    const { platform } = this.deps;
    const key = stepKey(cause.id, 'branchChat');
    const branched = await this.deps
      .binding()
      .within(from, person, cause, signal, async ({ platformChat }) => {
        for await (const before of this.laterRuns(from.room, cause.id, signal)) {
          try {
            return await platform.branchChat(key, platformChat, { before }, signal);
          } catch (error) {
            // That prompt was not begun, or elsewhere: the next one may have been.
            if (!(error instanceof PlatformError) || error.reason !== 'no-such-run') throw error;
          }
        }
        return platform.branchChat(key, platformChat, {}, signal);
      });
    if ('gone' in branched) return branched;
    return { platformChat: branched.result.platform_chat_id, agent: branched.result.agent };
  }

  private async *laterRuns(room: string, command: string, signal: AbortSignal): AsyncGenerator<string> {
    for await (const event of eventsAfter(this.deps.homeserver, room, command, signal)) {
      const meaning = meaningOf(room, event, this.deps.self);
      if (meaning.is !== 'source' && meaning.is !== 'edit') continue;
      if (meaning.ref.kind === 'message') yield stepKey(meaning.ref.id, 'send');
    }
  }
}
