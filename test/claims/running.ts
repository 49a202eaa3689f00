import { expect } from 'vitest';
import type { ClaimAnswer, ClaimRequest } from '../../src/claims/wire.js';
import { recordsIn } from '../../src/sync/claim-records.js';
import { RelayClaims } from '../../src/sync/relay-claims.js';
import type { DurableStorage } from '../../src/storage/durable.js';
import { silentLog } from '../../src/telemetry/log.js';
import { patientClock, takingOver, wordOf } from './world.js';

/** A relay's claims over a storage, without its sockets. */
export interface Running {
  claims: RelayClaims;
  ballot: { term: number; relay: string };
  ask: (request: ClaimRequest, replica?: string) => Promise<ClaimAnswer>;
  close(): Promise<void>;
}

export async function running(storage: DurableStorage): Promise<Running> {
  const records = recordsIn(storage);
  const claims = new RelayClaims({
    head: records,
    parts: records,
    clock: patientClock,
    log: silentLog,
  });
  await claims.open();
  const ballot = { term: 1, relay: claims.relay ?? '' };
  return {
    claims,
    ballot,
    ask: async (request, replica = 'a') => (await claims.answer(request, replica)) as ClaimAnswer,
    async close() {
      await claims.close();
      await storage.close(AbortSignal.timeout(30_000));
    },
  };
}

export async function takeOver({ ask, ballot }: Pick<Running, 'ask' | 'ballot'>): Promise<void> {
  const requests = takingOver(ballot);
  await Promise.all(requests.slice(0, -1).map((request) => ask(request)));
  for (const assume of requests.slice(-1)) expect(wordOf(await ask(assume))).toBe('assumed');
}
