import * as A from '@automerge/automerge';
import type { Relays } from '../sync/connect.js';
import type { Clock } from '../time/clock.js';
import type { OpenDocument, OpenDocuments } from './open-documents.js';
import { until } from './until.js';

const ANSWER_MS = 2_000;
const ASK_AGAIN_MS = 100;
const LOOK_AGAIN_MS = 20;

/** A document, and what stood in it when it was asked for. */
type Standing = { document: OpenDocument; heads: A.Heads };
type Asking = { deadlineMs?: number; signal?: AbortSignal | undefined };

/**
 * What the relays in reach say they have stored, compared with what stands here. A document may be closed while they
 * are waited for: a generation that counts no more, a window that has ended. It is not read any more then, for what
 * it holds is freed.
 */
export class RelayWord {
  constructor(
    private readonly relays: Pick<Relays, 'relayHeads'>,
    private readonly documents: Pick<OpenDocuments, 'get'>,
    private readonly clock: Clock,
  ) {}

  /**
   * True once at least one relay has said what it has of these documents and all of that stands here too; false
   * when the deadline passes first, also because no relay is in reach. What arrives at the relays after
   * their answer is not waited for, nor what was closed.
   */
  async caughtUp(documents: readonly OpenDocument[], asking: Asking): Promise<boolean> {
    let said: Map<string, string[]>[] = [];
    const check = async (): Promise<boolean> => {
      if (said.length === 0) said = await this.#ask(documents, asking.deadlineMs);
      return (
        said.length > 0 &&
        said.every((heads) =>
          documents.every(
            (document) =>
              !this.#isOpen(document) || A.hasHeads(document.handle.doc(), heads.get(document.id) ?? []),
          ),
        )
      );
    };
    return until(check, { clock: this.clock, everyMs: LOOK_AGAIN_MS, ...asking });
  }

  /**
   * True once some relay has stored all that stands in these documents now; false at the deadline. When one of them
   * is closed meanwhile they are asked for anew: what it held is in another one by then. A closed one among those
   * counts as not stored.
   */
  async acknowledged(current: () => readonly OpenDocument[], asking: Asking): Promise<boolean> {
    let ours: Standing[] | undefined;
    const check = async (): Promise<boolean> => {
      if (ours === undefined || !ours.every(({ document }) => this.#isOpen(document))) {
        const now = current();
        if (!now.every((document) => this.#isOpen(document))) return false;
        ours = this.#standing(now);
      }
      const asked = ours;
      const said = await this.#ask(
        asked.map(({ document }) => document),
        asking.deadlineMs,
      );
      return said.some((answer) =>
        asked.every(({ document, heads }) => this.#covers(document, answer.get(document.id) ?? [], heads)),
      );
    };
    return until(check, { clock: this.clock, everyMs: ASK_AGAIN_MS, ...asking });
  }

  /** Ids of those of which some relay in reach has stored all that stands here now. */
  async stored(documents: readonly OpenDocument[]): Promise<Set<string>> {
    const ours = this.#standing(documents);
    const ids = documents.map(({ id }) => id);
    const said = [...(await this.relays.relayHeads(ids, ANSWER_MS)).values()];
    const stored = ours.filter(({ document, heads }) =>
      said.some((answer) => this.#covers(document, answer.get(document.id) ?? [], heads)),
    );
    return new Set(stored.map(({ document }) => document.id));
  }

  /** Only whole answers count: a relay leaves out what it could not read. */
  async #ask(documents: readonly OpenDocument[], deadlineMs = Infinity): Promise<Map<string, string[]>[]> {
    const ids = documents.map(({ id }) => id);
    const answers = await this.relays.relayHeads(ids, Math.min(ANSWER_MS, deadlineMs));
    return [...answers.values()].filter((answer) => ids.every((id) => answer.has(id)));
  }

  /** Whether who has `theirs` has all that `heads` stand for. Of heads we have never seen nothing can be said yet. */
  #covers(document: OpenDocument, theirs: A.Heads, heads: A.Heads): boolean {
    if (!this.#isOpen(document)) return false;
    const now = document.handle.doc();
    if (theirs.length === 0 || !A.hasHeads(now, theirs)) return false;
    const missing = new Set(A.getChangesMetaSince(now, theirs).map(({ hash }) => hash));
    return heads.every((head) => !missing.has(head));
  }

  #standing(documents: readonly OpenDocument[]): Standing[] {
    return documents
      .filter((document) => this.#isOpen(document))
      .map((document) => ({ document, heads: A.getHeads(document.handle.doc()) }));
  }

  #isOpen(document: OpenDocument): boolean {
    return this.documents.get(document.id) === document;
  }
}
