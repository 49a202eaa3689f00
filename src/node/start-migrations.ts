import { actorTurn } from './actor-turn.js';
import type { NodeInside } from './inside.js';
import { NodeMigrations } from './migrations/node-migrations.js';
import type { OpenDocument } from './open-documents.js';

/** Migrations of a node's documents; made early, because what is newer than this software is not to be written. */
export function makeMigrations(
  inside: NodeInside,
  current: () => OpenDocument[],
  backUp: () => Promise<string>,
): NodeMigrations {
  const { parts, documents, records, schemas, counters } = inside;
  const { clock, log, relays, options } = parts;
  return new NodeMigrations({
    schemas,
    options: options.migrations ?? {},
    documents,
    current,
    records,
    backUp,
    change: (writes, cause) => inside.change(writes, cause),
    turn: (since, patienceMs) => actorTurn(relays.channel, 0, since, clock.monotonic(), patienceMs),
    sent: (document, bytes) => inside.fastPath.send(document, bytes),
    count: counters.countMalformed,
    clock,
    log,
  });
}
