import type { Json } from '../../documents/json.js';
import type { ActorBases } from '../generations/ports.js';
import type { ErasedPlaces } from './erased-places.js';
import { foldedWithout } from './remains.js';

/** Bases that say up to where their place was forgotten when they were folded. */
export function forgettingBases(bases: ActorBases, places: ErasedPlaces): ActorBases {
  const marked = (folded: ReadonlyMap<string, Json>): ReadonlyMap<string, Json> =>
    places.none
      ? folded
      : new Map([...folded].map(([actor, base]) => [actor, foldedWithout(actor, base, places)]));
  return {
    foldBases(document, at, inputs) {
      const folding = bases.foldBases(document, at, inputs);
      return 'next' in folding ? stepwise(folding, marked) : marked(folding);
    },
    absorbedBy: (base) => bases.absorbedBy(base),
  };
}

type Bases = ReadonlyMap<string, Json>;

function* stepwise(
  folding: Generator<void, Bases>,
  marked: (folded: Bases) => Bases,
): Generator<void, Bases> {
  return marked(yield* folding);
}
