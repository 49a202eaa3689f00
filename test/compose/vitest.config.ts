import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** What needs a Docker engine, apart from `npm test`. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    include: ['test/compose/deployment.ts'],
    testTimeout: 1_200_000,
    hookTimeout: 1_200_000,
    teardownTimeout: 300_000,
    // Each test goes on where the one before it ended.
    bail: 1,
  },
});
