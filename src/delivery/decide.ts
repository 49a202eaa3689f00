import type { Answer } from './answer.js';
import { steps } from './txn.js';
import type { AnswerView, ChainText } from './view.js';

/** The one next act for an answer. `send` carries a text of ours, `repair` a copy of what the room accepted. */
export type NextAct =
  | { act: 'settle'; reason: 'answered' | 'redacted'; event: string }
  | { act: 'send'; step: string; answer: Answer; part: number; edits?: string; after?: string }
  | { act: 'repair'; step: string; text: ChainText; edits: string }
  | { act: 'redact'; step: string; event: string }
  /** No text is held that could end the answer: ask the peers, then the platform under the same key. With
   * `round`, a text that is new begins a next round after that final. */
  | { act: 'obtain'; round?: string };

/**
 * Decides the next act from what the timeline shows and the texts held (own and copies of the peers').
 * The order of the cases is the order of PROTOCOL D2, D7, D3; nothing here looks at who is alive.
 */
export function nextAct(view: AnswerView, held: readonly Answer[]): NextAct {
  if (view.anchor !== undefined && view.anchorRedacted) {
    return { act: 'settle', reason: 'redacted', event: view.anchor };
  }
  return owedRepair(view) ?? owedRedaction(view) ?? progress(view, held);
}

/** A repair or redaction that is owed although the source is settled (PROTOCOL D3, D7, D10, C3). */
export function owed(view: AnswerView): boolean {
  return !view.anchorRedacted && (owedRepair(view) ?? owedRedaction(view)) !== undefined;
}

/** D7: an edit on top of the answer that is not the current text is repaired by a copy of the current one. */
function owedRepair(view: AnswerView): NextAct | undefined {
  const { current, top, anchor } = view;
  if (current === undefined || top === undefined || anchor === undefined || top.hash === current.hash) return;
  return { act: 'repair', step: steps.repair(top.event), text: current, edits: anchor };
}

/** D3, D10: once the answer is whole, whatever else is visible of it is taken away. */
function owedRedaction(view: AnswerView): NextAct | undefined {
  const orphan = view.orphans[0];
  if (view.accepted === undefined || orphan === undefined) return;
  return { act: 'redact', step: steps.orphan(orphan), event: orphan };
}

function progress(view: AnswerView, held: readonly Answer[]): NextAct {
  if (view.accepted !== undefined) {
    return { act: 'settle', reason: 'answered', event: view.accepted.event };
  }
  if (view.current === undefined) return firstFinal(view, held);
  for (const text of view.chain) {
    const answer = held.find((candidate) => candidate.hash === text.hash);
    if (answer !== undefined) return finish(text, answer);
  }
  return nextRound(view, view.current, held);
}

/** D3: the anchor first; where a placeholder stands, one edit ends it. */
function firstFinal(view: AnswerView, held: readonly Answer[]): NextAct {
  const answer = held[0];
  if (answer === undefined) return { act: 'obtain' };
  if (view.anchor === undefined) return { act: 'send', step: steps.anchor, answer, part: 1 };
  return { act: 'send', step: steps.final, answer, part: 1, edits: view.anchor };
}

/** D3: whoever holds a text of any round sends its missing parts, part k only after part k - 1 was read. */
function finish(text: ChainText, answer: Answer): NextAct {
  let k = 2;
  while (text.seen.has(k)) k += 1;
  return { act: 'send', step: steps.part(text.hash, k), answer, part: k };
}

/** D3: nobody holds a text of the chain: a text that is not of the chain goes on as the next round. */
function nextRound(view: AnswerView, current: ChainText, held: readonly Answer[]): NextAct {
  const fresh = held.find((answer) => !view.chain.some((text) => text.hash === answer.hash));
  if (fresh === undefined || view.anchor === undefined) return { act: 'obtain', round: current.hash };
  return {
    act: 'send',
    step: steps.nextRound(current.hash),
    answer: fresh,
    part: 1,
    edits: view.anchor,
    after: current.hash,
  };
}
