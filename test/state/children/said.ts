import type { LogEntry, Task } from '../../../src/index.js';

/** What the child saves under a number; few tasks, so that a start stays short. */
export const task = (n: number): Task => ({
  id: `job/${n % 5}`,
  description: `beans ${n}`,
  status: 'queued',
  agent: null,
  created_at: 1,
  updated_at: n,
  started_at: null,
  completed_at: null,
  logs: [],
  result: null,
});

export const entry = (n: number): LogEntry => ({
  timestamp: n,
  level: 'info',
  type: 'step',
  message: 'x'.repeat(n % 300),
});

export const report = (n: number): string => `${n}\n`.repeat(2000);
