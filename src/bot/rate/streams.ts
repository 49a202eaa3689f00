import type { Budget } from './budget.js';
import { pauseMs } from './ramp.js';

/** The answers that are shown while they come, over all replicas, and how fast each may be edited. */
export class Streams {
  private own = 0;

  constructor(
    private readonly deps: {
      budget: Pick<Budget, 'slowdown'>;
      /** Edits a second of the whole account while the homeserver refuses none. */
      perSecond: number;
      /** How many the peers say they show. */
      ofPeers: () => number;
    },
  ) {}

  /** One more, until the function is called that it returns. */
  begin(): () => void {
    this.own += 1;
    let ended = false;
    return () => {
      if (!ended) this.own -= 1;
      ended = true;
    };
  }

  ofOurs(): number {
    return this.own;
  }

  /** Ms from an answer's edit number `edits` to its next. */
  pauseMs(edits: number): number {
    const { budget, perSecond, ofPeers } = this.deps;
    return pauseMs(edits, this.own + ofPeers(), perSecond / budget.slowdown());
  }
}
