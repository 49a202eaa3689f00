import { defineConfig } from 'vitest/config';

/** Tests that talk to a real homeserver or start processes: two files at a time, with one Synapse for all of them. */
const wholeSystem = [
  'test/e2e/**/*.test.ts',
  'test/world/**/*.test.ts',
  'test/dev/**/*.test.ts',
  'test/compose/services.test.ts',
];

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    // A poll ends when it holds: its deadline is there for what never will.
    expect: { poll: { timeout: 30_000, interval: 20 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: wholeSystem,
          maxWorkers: 2,
          // One process for many files: what is loaded, and what V8 made of it, serves the next one too. No file may leave
          // anything behind in its process, which is asked of them anyway.
          isolate: false,
          // As bin/understudy.js does: a file of tests is over before what V8 would optimise of Automerge pays.
          execArgv: ['--wasm-tiering-budget=20000000'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'world',
          include: wholeSystem,
          globalSetup: ['test/world/global-setup.ts'],
          // Longer than all waits of a test together take on a machine that is slow now and then.
          testTimeout: 600_000,
          hookTimeout: 300_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
