import { readArchiveMark } from '../../actors/archive.js';
import { absorbedBy, storedBase } from '../../actors/base.js';
import { foldingBases } from '../../actors/cut.js';
import type { Machines } from '../../actors/machines.js';
import type { CountMalformed } from '../../documents/errors.js';
import type { ActorBases } from './ports.js';

/**
 * {@link ActorBases} by the machines that are registered at the time of asking.
 *
 * @param belowHorizon told of every late event that counts already although its id was dropped.
 */
export function actorBases(
  machines: () => Machines,
  count: CountMalformed,
  belowHorizon: () => void = () => {},
): ActorBases {
  return {
    foldBases: (document, at, inputs) => foldingBases(document, machines(), at, count, inputs),
    absorbedBy(base) {
      const mark = readArchiveMark(base);
      if (mark !== undefined) return (_, stamp) => stamp !== undefined && stamp <= mark.stamp;
      const parsed = storedBase.safeParse(base);
      if (!parsed.success) return () => false;
      const absorbed = absorbedBy(parsed.data);
      return (eventId, stamp) => {
        const found = absorbed(eventId, stamp);
        if (found === 'below horizon') belowHorizon();
        return found !== 'not';
      };
    },
  };
}
