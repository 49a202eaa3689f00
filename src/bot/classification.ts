import type { RoomEvent } from '../matrix/homeserver.js';
import type { Engine } from './engine.js';
import { formsOf, formTaken } from './forms.js';
import type { Records } from './records.js';
import type { Source } from './source.js';

/**
 * What of a source's handling follows from its text: whether it passes ahead, and whose it is (PROTOCOL O5, O6). Of one
 * that was begun, by whichever replica, the form counts that its attempts name.
 */
export class Classification {
  constructor(
    private readonly deps: {
      engine: Pick<Engine, 'evaluate'>;
      records: Pick<Records, 'attempts' | 'marked'>;
      /** Our own mxid. */
      self: string;
      ahead: (event: RoomEvent) => boolean;
      personal: (event: RoomEvent) => boolean;
    },
  ) {}

  /** To be called whenever more of it is known. Nothing changes while this replica is at work on it. */
  of(source: Source): void {
    const { ref, target, attempt } = source;
    const { records, self } = this.deps;
    // Settled, or known by a note of ours to it: a repair of it waits for nothing, whatever it says.
    if (attempt !== undefined || ref.sender === self || records.marked(ref)) return;
    const forms = formsOf(records.attempts(ref).keys());
    if (forms.length > 0) source.taken = formTaken(forms, source.edits) ?? null;
    const { prompt } = source;
    if (prompt === undefined) return;
    const isMessage = ref.kind === 'message';
    source.ahead = !isMessage || (target === undefined && this.deps.ahead(prompt));
    source.personal = isMessage && target === undefined && this.deps.personal(prompt);
    this.deps.engine.evaluate();
  }
}
