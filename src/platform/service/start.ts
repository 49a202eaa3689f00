import { sql } from 'kysely';
import type { Log } from '../../telemetry/log.js';
import { systemClock, type Clock } from '../../time/clock.js';
import { openAgents } from '../agents.js';
import { drillBackend } from '../backends/drill.js';
import { echoBackend } from '../backends/echo.js';
import { openAiBackend, type OpenAiOptions } from '../backends/openai.js';
import { Approvals } from './approvals.js';
import { Chats } from './chats.js';
import { openDatabase, type DatabaseSettings } from './database.js';
import { Erasure } from './erasure.js';
import { EventLog } from './event-log.js';
import { Executor, type Backends, type OnRun } from './executor.js';
import { Followers } from './follower.js';
import { Membership } from './membership.js';
import { pruneRegularly } from './prune.js';
import { routes } from './routes.js';
import { Runs } from './runs.js';
import { listen, type OnCall } from './server.js';
import { Signals } from './signals.js';

const DAY_MS = 86_400_000;

export interface PlatformOptions {
  /** Default 127.0.0.1. Elsewhere than on loopback set a `token` too. */
  host?: string;
  /** 0 takes a free one. */
  port: number;
  /** Path of `agents.yaml`. */
  agentsFile: string;
  database: DatabaseSettings;
  /** Callers must send it as a bearer token. */
  token?: string;
  log: Log;
  clock?: Clock;
  /** `OPENAI_BASE_URL`, `OPENAI_API_KEY`. */
  env?: NodeJS.ProcessEnv;
  /** On a shared database a process without a beat for so long has died. Default 3 s. */
  leaseMs?: number;
  /** An empty line goes down every stream so often. Default 10 s. */
  keepAliveMs?: number;
  /** A question that nobody decided on ends its run after so long. Default 24 h. */
  approvalMs?: number;
  /** Finished runs are kept for so long, at least 7 days. */
  retentionMs?: number;
  /** For metrics. */
  onCall?: OnCall;
  onRun?: OnRun;
  openai?: Pick<OpenAiOptions, 'attempts' | 'backoffMs' | 'silenceMs'>;
}

export interface Platform {
  url: string;
  port: number;
  /** Rejects while the database does not answer. */
  check(): Promise<void>;
  /** Runs that this process carries out now, those included that wait for an earlier one of their chat. */
  runsNow(): number;
  /** Runs in progress are left for the next process, which takes them up. */
  close(): Promise<void>;
}

/**
 * Starts the platform service: chats, their memory, and runs that are begun once per key and survive a restart
 * (P1, P2). Rejects with `PlatformStartError` or `AgentsFileError`, and then leaves nothing open.
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { host = '127.0.0.1', clock = systemClock, env = process.env, leaseMs = 3_000, token } = options;
  const log = options.log.child({ part: 'platform' });
  const agents = await openAgents(options.agentsFile, env, log);
  const { db, shared } = await openDatabase(options.database, leaseMs, log);
  const now = () => clock.now();

  const runs = new Runs(db, now);
  const approvals = new Approvals(db, now, options.approvalMs ?? DAY_MS);
  const signals = new Signals(clock, shared ? 250 : 5_000);
  const eventLog = shared ? new EventLog(db, clock, log) : undefined;
  const backends: Backends = {
    echo: echoBackend,
    drill: drillBackend(clock),
    openai: openAiBackend({ env, clock, log, ...options.openai }),
  };
  const services = { db, runs, approvals, signals, eventLog, clock };
  const executor = new Executor(services, agents, backends, log, options.onRun);
  const followers = eventLog && new Followers(runs, eventLog, clock, 200, log);
  const membership = new Membership({ db, runs, executor, followers, clock, log }, leaseMs, shared);
  const check = async () => {
    await sql`select 1`.execute(db);
  };
  const api = {
    agents,
    chats: new Chats(db, now),
    erasure: new Erasure(db, now),
    runs,
    approvals,
    executor,
    followers,
    membership,
    signals,
  };

  const stopRuns = async () => {
    await executor.stop();
    followers?.stop();
    await eventLog?.close();
  };
  try {
    await membership.join();
    const server = await listen({
      host,
      port: options.port,
      token,
      clock,
      log,
      keepAliveMs: options.keepAliveMs ?? 10_000,
      routes: routes(api),
      check,
      onCall: options.onCall,
    });
    const stopPruning = pruneRegularly(db, clock, Math.max(7 * DAY_MS, options.retentionMs ?? 0), log);
    const url = `http://${urlHost(host)}:${server.port}`;
    if (token === undefined && !isLoopback(host)) {
      log.warn({ host }, 'the platform listens beyond this machine without a token');
    }
    log.info({ url, database: shared ? 'postgresql' : 'sqlite' }, 'platform listening');
    let closed: Promise<void> | undefined;
    const close = async () => {
      stopPruning();
      server.stopAccepting();
      await stopRuns();
      await server.cut();
      await membership.leave();
      await db.destroy();
      log.info({}, 'platform stopped');
    };
    const runsNow = () => executor.liveKeys().length;
    return { url, port: server.port, check, runsNow, close: () => (closed ??= close()) };
  } catch (error) {
    await stopRuns();
    await membership
      .leave()
      .catch((left: unknown) => log.warn({ error: String(left) }, 'could not sign off'));
    await db.destroy();
    throw error;
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/** Where this machine reaches a server that listens on `host`. */
function urlHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
