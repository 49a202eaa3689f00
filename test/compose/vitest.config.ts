import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** What needs a Docker engine, apart from `npm test`. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    include: ['test/compose/deployment.ts'],
    testTimeout: 180_000,
    hookTimeout: 600_000,
    teardownTimeout: 120_000,
    // Each test goes on where the one before it ended.
    bail: 1,
  },
});
