import { ActorError } from '../actors/errors.js';
import { DocumentError } from '../documents/errors.js';
import { NodeError } from '../node/errors.js';
import { errnoOf } from '../storage/file-layer.js';
import { TaskError } from '../tasks/task.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import type { SavedThing, StateEmitter, StateEvents } from './events.js';

/** Counts, tells and logs how each save went. */
export class Outcomes {
  saved = 0;
  failed = 0;

  constructor(
    private readonly emitter: StateEmitter,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  /** Does what saves one thing; a path that it gives is told. What it throws is thrown. */
  async of<T>(what: SavedThing, id: string, save: () => Promise<T>): Promise<T> {
    const from = this.clock.monotonic();
    try {
      const result = await save();
      const path = typeof result === 'string' ? result : undefined;
      this.done(what, { id, path, bytes: undefined, ms: this.clock.monotonic() - from });
      return result;
    } catch (error) {
      throw isOfCaller(error) ? error : this.refused(what, id, error);
    }
  }

  done(what: SavedThing, rest: Omit<StateEvents['state:saved'], 'what' | 'at'>): void {
    this.saved += 1;
    this.emitter.emit('state:saved', { what, ...rest, at: this.clock.now() });
  }

  /** Gives the error, to be thrown. */
  refused(what: SavedThing, id: string | undefined, error: unknown): unknown {
    const message = error instanceof Error ? error.message : String(error);
    const code = codeOf(error);
    this.failed += 1;
    this.log.error({ err: error, what, code }, 'saving failed; what stood there before stands');
    this.emitter.emit('state:save-error', { what, id, code, message, at: this.clock.now() });
    return error;
  }
}

/** Of what was given, and not of the disk: the caller alone hears of it. */
function isOfCaller(error: unknown): boolean {
  if (error instanceof TaskError) return error.code !== 'session-log';
  return error instanceof ActorError || error instanceof DocumentError || error instanceof NodeError;
}

/** The errno name where the disk gave one, else the code of an error of ours. */
export function codeOf(error: unknown): string {
  const cause = error instanceof Error ? errnoOf(error.cause) : undefined;
  return cause ?? errnoOf(error) ?? 'unknown';
}
