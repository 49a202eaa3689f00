import { type PlatformClient, PlatformError } from '../../platform/client.js';
import type { Outcome } from '../attendant.js';
import { type Cause, type Records, roomKey } from '../records.js';
import type { Binding } from './binding.js';
import { cleaned, LONGEST_ARGUMENT } from './commands/arguments.js';
import type { Call } from './commands/command.js';
import { stepKey } from './platform-key.js';
import { notice, pickAnAgent } from './texts.js';

export const NO_CONTEXT = 'This room has no context yet; it gets one with its first prompt.';

/** Why a context cannot have that name: it is a segment of a path at the platform. */
export const badName = (name: string): string | undefined =>
  /^\.{1,2}$/.test(name) ? 'That is no name for a context.' : undefined;

type Asked = Pick<Call, 'place' | 'person' | 'cause' | 'signal' | 'fresh'>;

/** What the platform keeps under names for the context of a room, or of a thread. */
export class SavedContexts {
  constructor(
    private readonly deps: { records: Records; platform: PlatformClient; binding: Binding; prefix: string },
  ) {}

  /** Names that can be shown and typed; another client of the platform may have saved others. */
  async names({ place, person, cause, signal }: Asked): Promise<string[] | Outcome> {
    const found = await this.deps.binding.within(place, person, cause, signal, ({ platformChat }) =>
      this.deps.platform.listContexts(platformChat, signal),
    );
    if ('gone' in found) return pickAnAgent(found.gone, found.agents, this.deps.prefix);
    return found.result.map(({ name }) => name).filter((name) => isPlain(name));
  }

  async load({ place, person, cause, signal, fresh }: Asked, name: string): Promise<Outcome> {
    const bad = badName(name);
    if (bad !== undefined) return notice(bad);
    fresh();
    try {
      const loaded = await this.deps.binding.within(place, person, cause, signal, ({ platformChat }) =>
        this.deps.platform.loadContext(stepKey(cause.id, 'load'), platformChat, name, signal),
      );
      if ('gone' in loaded) return pickAnAgent(loaded.gone, loaded.agents, this.deps.prefix);
    } catch (error) {
      if (!(error instanceof PlatformError) || error.reason !== 'no-such-context') throw error;
      return notice(`Nothing is saved as “${name}” here. ${this.deps.prefix}load lists what is.`);
    }
    // No record grows with the threads of a room.
    if (place.thread !== undefined) return notice(`Loaded “${name}”: this thread goes on from there.`);
    fresh();
    await this.loaded(place.room, name, cause);
    return notice(`Loaded “${name}”: this room goes on from there.`);
  }

  private loaded(room: string, name: string, cause: Cause): Promise<void> {
    return this.deps.records.write(
      [{ kind: 'room', key: roomKey(room), fields: { loaded_context: name } }],
      cause,
    );
  }
}

const isPlain = (name: string): boolean =>
  name === cleaned(name) && Array.from(name).length <= LONGEST_ARGUMENT && badName(name) === undefined;
