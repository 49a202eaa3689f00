import { absorbedId, storedBase } from '../../actors/base.js';
import { basesOf } from '../../actors/cut.js';
import type { Machines } from '../../actors/machines.js';
import type { CountMalformed } from '../../documents/errors.js';
import type { ActorBases } from './ports.js';

/** {@link ActorBases} by the machines that are registered at the time of asking. */
export function actorBases(machines: () => Machines, count: CountMalformed): ActorBases {
  return {
    foldBases: (document, at) => basesOf(document, machines(), at, count),
    absorbedBy(base) {
      const parsed = storedBase.safeParse(base);
      if (!parsed.success) return () => false;
      const ids = new Set(parsed.data.absorbed.map(([id]) => id));
      return (eventId) => ids.has(absorbedId(eventId));
    },
  };
}
