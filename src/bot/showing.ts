import type { Clock } from '../time/clock.js';
import type { Outbox } from './outbox.js';
import type { Streams } from './rate/streams.js';
import type { Signs } from './signs.js';
import type { Source } from './source.js';
import { type RunSoFar, Streamer } from './streamer.js';

/** How the work on a source shows while it is under way. */
export interface Shows {
  /** An agent is asked now: a placeholder shows if it takes long. What the bot says itself has none. */
  thinking(soFar?: RunSoFar): void;
  /** The text so far, for the placeholder's edits. */
  progress(text: string): void;
  /** The run waits for a person: shown also where no text so far is. */
  asks(text: string): void;
  /** The platform is out of reach from now on, or is reached: the placeholder says so, also of a command. */
  outOfReach(is: boolean, soFar?: RunSoFar): void;
}

export interface ShowingDeps {
  clock: Clock;
  outbox: Pick<Outbox, 'placeholder' | 'stream'>;
  signs: Pick<Signs, 'typing'>;
  /** Ms without an answer after which the placeholder is sent; Infinity: never. */
  placeholderAfterMs: number;
  /** The placeholder's edits show the text so far. */
  streaming: boolean;
  streams: Streams;
  timeline: { isBehind(room: string): boolean };
}

/** What the room sees of work that is under way: a typing notice, a placeholder and its edits. */
export class Showing implements Shows {
  private streamer: Streamer | undefined;
  private endTyping: (() => void) | undefined;

  constructor(
    private readonly deps: ShowingDeps,
    private readonly source: Source,
    /** Ends the requests too: the process ends, or gives the source up. */
    private readonly signal: AbortSignal,
  ) {}

  thinking(soFar?: RunSoFar): void {
    this.endTyping ??= this.deps.signs.typing(this.source);
    this.begin(soFar);
  }

  progress(text: string): void {
    this.streamer?.progress(text);
  }

  asks(text: string): void {
    this.streamer?.show(text);
  }

  outOfReach(is: boolean, soFar?: RunSoFar): void {
    if (is && isSaid(this.source)) this.begin(soFar);
    this.streamer?.outOfReach(is);
  }

  async stop(): Promise<void> {
    this.endTyping?.();
    await this.streamer?.stop();
  }

  private begin(soFar: RunSoFar | undefined): void {
    const { outbox, clock, placeholderAfterMs: afterMs, streaming, streams, timeline } = this.deps;
    const isBehind = () => timeline.isBehind(this.source.ref.room);
    const settings = { afterMs, streaming, streams, isBehind };
    this.streamer ??= new Streamer(this.source, outbox, clock, settings, this.signal, soFar);
  }
}

/** Somebody waits for an answer; of a reaction there may be none, and nothing would end a placeholder. */
const isSaid = ({ ref, event }: Source): boolean => ref.kind === 'message' && event?.type !== 'm.reaction';
