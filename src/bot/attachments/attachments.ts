import type { Attachment } from '../../platform/attachments.js';
import type { WorkContext } from '../attendant.js';
import type { Source } from '../source.js';
import { fetchAll, type FetchingDeps } from './fetching.js';
import { readMedia } from './media.js';
import { Slots } from './slots.js';
import type { Staging } from './staging.js';
import { takenBy, type TakenDeps } from './taken.js';
import { faultText } from './texts.js';

/** Prompts whose files this process has in memory at once; a prompt lets go of them when the platform holds its run. */
const MOST_AT_ONCE = 2;

export type AttachmentsDeps = TakenDeps & FetchingDeps & { staging: Staging };

/** What goes with a prompt, in memory until the platform has it; `release` may be called more than once. */
export interface Held {
  attachments: readonly Attachment[];
  release: () => void;
}

/** The files of people, from the room to the platform (docs/decisions/0021). */
export class Attachments {
  private readonly slots = new Slots(MOST_AT_ONCE);

  constructor(private readonly deps: AttachmentsDeps) {}

  /** Reads which files go with a prompt, once; before anything is written of it. */
  async prepare(source: Source, signal: AbortSignal): Promise<void> {
    const { staging } = this.deps;
    const { prompt, ref } = source;
    if (source.files !== undefined || prompt === undefined) return;
    const look = staging.mayHold(ref.room, ref.sender, ref.ts);
    source.files = await takenBy(this.deps, prompt, ref.room, signal, look);
    this.over(source);
  }

  /** A prompt has taken its files, here or on another replica. */
  over({ ref, arrived }: Source): void {
    if (arrived !== undefined) this.deps.staging.taken(ref.room, ref.sender, arrived);
  }

  /** What is said of a message that is a file which cannot be taken. */
  refusal({ prompt }: Source): string | undefined {
    const file = prompt && readMedia(prompt)?.file;
    return file && 'fault' in file ? faultText(file.name, file.fault) : undefined;
  }

  /** Fetches what goes with a prompt; a text where it cannot be had. */
  async hold(source: Source, context: Pick<WorkContext, 'signal' | 'waits'>): Promise<Held | string> {
    const { files: taken } = source;
    if (taken === undefined) return { attachments: [], release: () => {} };
    if ('refused' in taken) return taken.refused;
    if (taken.media.length === 0) return { attachments: [], release: () => {} };
    const leave = await this.slots.enter(context.signal);
    try {
      const fetched = await fetchAll(this.deps, taken.media, context);
      if ('missing' in fetched) {
        leave();
        return fetched.missing;
      }
      // What was redacted meanwhile stays here.
      const left = source.files !== undefined && 'media' in source.files ? source.files.media : [];
      const attachments = fetched.attachments.filter((_, i) => left.some((one) => one === taken.media[i]));
      const release = () => {
        attachments.splice(0);
        leave();
      };
      return { attachments, release };
    } catch (error) {
      leave();
      throw error;
    }
  }
}
