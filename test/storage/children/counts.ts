import { z } from 'zod';
import { openJournal } from '../../../src/storage/journal.js';
import type { Journal, JournalOptions } from '../../../src/storage/journal.js';

const Count = z.object({ name: z.string(), n: z.int() });
type Count = z.infer<typeof Count>;

export type Counts = Map<string, number>;

/** A journal of counters that must each rise by one: a lost or doubled entry shows. */
export function openCounts(
  file: string,
  more: Pick<JournalOptions<Counts, Count>, 'log'> & Partial<JournalOptions<Counts, Count>>,
): Promise<Journal<Counts, Count>> {
  return openJournal<Counts, Count>({
    file,
    entry: Count,
    initial: () => new Map(),
    apply: (state, { name, n }) => {
      // A snapshot begins at any count; after it each must follow the one before.
      const before = state.get(name);
      if (before !== undefined && n !== before + 1) state.set(`${name} jumped to ${n} from`, before);
      state.set(name, n);
    },
    snapshot: (state) => [...state].map(([name, n]) => ({ name, n })),
    ...more,
  });
}
