import { z } from 'zod';
import type { SeedLedger } from './ledger.js';

const begin = z.object({ token: z.string(), names: z.array(z.string()).max(100) });
const finish = z.object({ token: z.string() });

/** What the holder of a data folder answers about seeding over its control socket, as {@link SeedLedger} says it. */
export function seedQuestions(
  ledger: SeedLedger,
): Record<string, (params: Record<string, unknown>) => unknown> {
  return {
    'seed-begin': (params) => {
      const { token, names } = begin.parse(params);
      return ledger.begin(token, names);
    },
    'seed-finish': async (params) => {
      await ledger.finish(finish.parse(params).token);
      return { done: true };
    },
  };
}
