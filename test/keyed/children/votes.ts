import { z } from 'zod';
import type { KeyedStoreOptions } from '../../../src/index.js';

export const CLUSTER = 'test-cluster-secret';

export const VOTES: KeyedStoreOptions<number> = {
  namespace: 'votes',
  class: 'durable',
  ttl: 60 * 60_000,
  maxEntries: 100,
  persistent: true,
  shape: z.number(),
};
