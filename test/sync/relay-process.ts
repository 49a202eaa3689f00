import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { clusterCheck } from '../../src/sync/credentials.js';
import { testPort } from '../world/port.js';
import { Process, type Environment } from '../world/process.js';
import type { RelayToken } from '../../src/sync/relay-tokens.js';
import { parseExposition } from '../telemetry/exposition.js';

/** A real `understudy relay` in a folder of its own, and what its pages say of it. */
export interface RelayProcess {
  process: Process;
  url: string;
  dir: string;
  /** What clients say in `hello`. */
  check: string;
  /** One of the relay's counts, as its metrics page has it. */
  count(name: string): Promise<number>;
  /** Of all it counts, what is not zero. */
  counts(): Promise<Record<string, number>>;
  /** Megabytes in memory (RSS), as the operating system sees it. */
  rss(): number;
  log(): string;
}

/** A relay on a free port, started unless the test does that; it is gone, and its folder too, when the test is over. */
export async function relayProcess(
  settings: Environment = {},
  prepare: (dir: string) => Environment = () => ({}),
  isStarted = true,
): Promise<RelayProcess> {
  const dir = mkdtempSync(join(tmpdir(), 'understudy-relay-'));
  const clusterId = randomBytes(24).toString('base64url');
  const port = await testPort();
  const process = new Process('relay', ['relay'], {
    UNDERSTUDY_CLUSTER_ID: clusterId,
    UNDERSTUDY_RELAY_PORT: String(port),
    UNDERSTUDY_HTTP_PORT: String(await testPort()),
    UNDERSTUDY_DATA_DIR: join(dir, 'data'),
    ...settings,
    ...prepare(dir),
  });
  onTestFinished(async () => {
    await process.kill();
    rmSync(dir, { recursive: true, force: true, maxRetries: 10 });
  });
  if (isStarted) await process.start();
  const counts = async (): Promise<Record<string, number>> => countsOf(await metricsOf(process));
  return {
    process,
    url: `ws://127.0.0.1:${port}`,
    dir,
    check: clusterCheck(clusterId),
    counts,
    count: async (name) => (await counts())[name] ?? 0,
    rss() {
      const status = readFileSync(`/proc/${process.pid}/status`, 'utf8');
      return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024);
    },
    log: () => process.lines.map(({ text }) => text).join('\n'),
  };
}

/** The metrics page of a process, asked for again while it runs and is too busy to answer; undefined when it does not. */
export async function metricsOf(process: Process): Promise<string | undefined> {
  for (let attempt = 0; attempt < 6; attempt += 1) {
    const page = await process.page('/metrics');
    if (page !== undefined || !process.isRunning) return page?.text;
  }
  return undefined;
}

/** What its page says, under the names of `relay.stats()`; without what is 0. */
function countsOf(page: string | undefined): Record<string, number> {
  const families = parseExposition(page ?? '\n');
  const all = (metric: string) => families.get(`understudy_${metric}`)?.samples ?? [];
  const one = (metric: string, label: string, value: string) =>
    all(metric).find(({ labels }) => labels[label] === value)?.value ?? 0;
  const by = (metric: string, label: string): Record<string, number> =>
    Object.fromEntries(all(metric).map(({ labels, value }) => [labels[label] ?? '', value]));
  const counts: Record<string, number> = {
    ...by('relay_events_total', 'event'),
    ...by('relay_refusals_total', 'reason'),
    connections: all('relay_connections').reduce((sum, { value }) => sum + value, 0),
    replicas: one('relay_connections', 'peer', 'replica'),
    viewers: one('relay_connections', 'peer', 'viewer'),
    documents: one('relay_documents', 'state', 'memory'),
    backlogBytes: one('relay_backlog_bytes', 'of', 'all'),
    greatestBacklogBytes: one('relay_backlog_bytes', 'of', 'slowest'),
  };
  return Object.fromEntries(Object.entries(counts).filter(([, value]) => value !== 0));
}

/** Writes a list of tokens as its owner should, mode 600. */
export function writeTokens(path: string, tokens: readonly RelayToken[]): string {
  const lines = tokens.map(({ expires, ...token }) => ({
    ...token,
    ...(expires !== undefined && { expires: new Date(expires).toISOString() }),
  }));
  writeFileSync(path, JSON.stringify(lines));
  chmodSync(path, 0o600);
  return path;
}
