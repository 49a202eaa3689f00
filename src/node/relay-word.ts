import * as A from '@automerge/automerge';
import type { Relays } from '../sync/connect.js';
import type { Clock } from '../time/clock.js';
import type { OpenDocument } from './open-documents.js';
import { until } from './until.js';

const ANSWER_MS = 2_000;
const ASK_AGAIN_MS = 100;
const LOOK_AGAIN_MS = 20;

type Asking = { deadlineMs?: number; signal?: AbortSignal | undefined };

/** What the relays in reach say they have stored, compared with what stands here. */
export class RelayWord {
  constructor(
    private readonly relays: Pick<Relays, 'relayHeads'>,
    private readonly clock: Clock,
  ) {}

  /**
   * True once at least one relay has said what it has of these documents and all of that stands here too; false
   * when the deadline passes first, also because no relay is in reach. What arrives at the relays after
   * their answer is not waited for.
   */
  async caughtUp(documents: readonly OpenDocument[], asking: Asking): Promise<boolean> {
    let said: Map<string, string[]>[] = [];
    const check = async (): Promise<boolean> => {
      if (said.length === 0) said = await this.#ask(documents, asking.deadlineMs);
      return (
        said.length > 0 &&
        said.every((heads) =>
          documents.every(({ id, handle }) => A.hasHeads(handle.doc(), heads.get(id) ?? [])),
        )
      );
    };
    return until(check, { clock: this.clock, everyMs: LOOK_AGAIN_MS, ...asking });
  }

  /** True once some relay has stored all that stands in these documents now; false at the deadline. */
  async acknowledged(documents: readonly OpenDocument[], asking: Asking): Promise<boolean> {
    const ours = documents.map((document) => ({ document, heads: A.getHeads(document.handle.doc()) }));
    const check = async (): Promise<boolean> =>
      (await this.#ask(documents, asking.deadlineMs)).some((said) =>
        ours.every(({ document, heads }) => covers(document, said.get(document.id) ?? [], heads)),
      );
    return until(check, { clock: this.clock, everyMs: ASK_AGAIN_MS, ...asking });
  }

  /** Ids of those of which some relay in reach has stored all that stands here now. */
  async stored(documents: readonly OpenDocument[]): Promise<Set<string>> {
    const ours = documents.map((document) => ({ document, heads: A.getHeads(document.handle.doc()) }));
    const ids = documents.map(({ id }) => id);
    const said = [...(await this.relays.relayHeads(ids, ANSWER_MS)).values()];
    const stored = ours.filter(({ document, heads }) =>
      said.some((answer) => covers(document, answer.get(document.id) ?? [], heads)),
    );
    return new Set(stored.map(({ document }) => document.id));
  }

  /** Only whole answers count: a relay leaves out what it could not read. */
  async #ask(documents: readonly OpenDocument[], deadlineMs = Infinity): Promise<Map<string, string[]>[]> {
    const ids = documents.map(({ id }) => id);
    const answers = await this.relays.relayHeads(ids, Math.min(ANSWER_MS, deadlineMs));
    return [...answers.values()].filter((answer) => ids.every((id) => answer.has(id)));
  }
}

/** Whether who has `theirs` has all that `heads` stand for. Of heads we have never seen nothing can be said yet. */
function covers({ handle }: OpenDocument, theirs: A.Heads, heads: A.Heads): boolean {
  const document = handle.doc();
  if (theirs.length === 0 || !A.hasHeads(document, theirs)) return false;
  const missing = new Set(A.getChangesMetaSince(document, theirs).map(({ hash }) => hash));
  return heads.every((head) => !missing.has(head));
}
