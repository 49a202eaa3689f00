import type { Log } from '../../telemetry/log.js';
import { sleep } from '../../time/clock.js';
import type { AgentDefinition, AgentRegistry } from '../agents.js';
import { BackendError, type Backend } from '../backends/backend.js';
import { RunFeed } from './feed.js';
import { wellFormed } from './text.js';
import { RunLost, runRequest, type Persist, type RunServices } from './run-request.js';
import { endOf, type BegunRun, type RunEnd } from './runs.js';

interface LiveRun {
  feed: RunFeed;
  controller: AbortController;
  done: Promise<void>;
}

/** For metrics: how runs end here. Words of ours, never foreign text. */
export type OnRun = (end: { outcome: RunOutcome; ms: number }) => void;
/** `taken-away`: by another process, a cancel, or our own end. */
export type RunOutcome = 'final' | 'failed' | 'taken-away';

export type Backends = Record<AgentDefinition['backend'], Backend>;

/**
 * Carries out the runs of this process, one at a time per chat, each once however often it is asked to. A run
 * goes on whoever listens; only `cancel`, another process or our own end stops it here.
 */
export class Executor {
  private readonly live = new Map<string, LiveRun>();
  private stopped = false;

  constructor(
    private readonly services: RunServices,
    private readonly agents: AgentRegistry,
    private readonly backends: Backends,
    private readonly log: Log,
    private readonly onRun: OnRun = () => {},
  ) {}

  liveKeys(): string[] {
    return [...this.live.keys()];
  }

  feed(key: string): RunFeed | undefined {
    return this.live.get(key)?.feed;
  }

  /** The feed of a run of ours, which is taken up unless it already goes on; into `feed` if given. */
  ensure(run: BegunRun, executor: string, feed = new RunFeed()): RunFeed {
    const already = this.live.get(run.key);
    if (already) return already.feed;
    if (this.stopped) {
      feed.cut();
      return feed;
    }
    const controller = new AbortController();
    const done = this.carryOut(run, executor, feed, controller.signal).finally(() => {
      this.live.delete(run.key);
      this.services.signals.notify(chatTopic(run.chat));
    });
    this.live.set(run.key, { feed, controller, done });
    return feed;
  }

  /** Ends the work on a run here; its record says how it goes on. */
  abort(key: string): void {
    this.live.get(key)?.controller.abort(new RunLost());
  }

  /** Lets go of every run without ending it. */
  async abortAll(): Promise<void> {
    const all = [...this.live.values()];
    for (const { controller } of all) controller.abort(new RunLost());
    await Promise.all(all.map((run) => run.done));
  }

  /** As {@link abortAll}, for good; the next process takes the runs up. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.abortAll();
  }

  private async carryOut(run: BegunRun, executor: string, feed: RunFeed, signal: AbortSignal): Promise<void> {
    const { runs, signals } = this.services;
    const log = this.log.child({ run: run.key, chat: run.chat, agent: run.agent });
    const { clock } = this.services;
    const from = clock.monotonic();
    const ended = (outcome: RunOutcome): void => this.onRun({ outcome, ms: clock.monotonic() - from });
    const persist: Persist = (access) => this.persistently(access, signal, log);
    try {
      const free = async () => ((await persist(() => runs.mustWait(run))) ? undefined : true);
      await signals.until(chatTopic(run.chat), free, signal);
      if (!(await persist(() => runs.start(run.key, executor)))) throw new RunLost();
      log.info({ position: run.position }, 'run started');
      const end = await this.answer(run, executor, feed, signal, persist, log);
      if (!(await persist(() => runs.finish(run, executor, end)))) throw new RunLost();
      log.info({ outcome: end.type === 'final' ? 'final' : end.code }, 'run finished');
      feed.end(end);
      ended(end.type === 'final' ? 'final' : 'failed');
    } catch (error) {
      ended('taken-away');
      if (!(error instanceof RunLost)) log.error({ error: (error as Error).message }, 'run dropped');
      await this.settleElsewhere(run, feed, log);
    }
  }

  private async answer(
    run: BegunRun,
    executor: string,
    feed: RunFeed,
    signal: AbortSignal,
    persist: Persist,
    log: Log,
  ): Promise<RunEnd> {
    try {
      const agent = await this.agents.find(run.agent);
      if (!agent)
        throw new BackendError('unknown-agent', `the agent "${run.agent}" is not in the registry any more`);
      const request = runRequest(this.services, run, executor, agent, feed, persist);
      const text = await this.backends[agent.backend].answer(request, signal);
      return { type: 'final', text: wellFormed(text) };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RunLost) throw error;
      if (error instanceof BackendError) {
        return { type: 'error', code: error.code, message: wellFormed(error.message) };
      }
      log.error({ error: (error as Error).stack }, 'backend failed unexpectedly');
      return {
        type: 'error',
        code: 'internal',
        message: 'the agent failed unexpectedly; the platform log says why',
      };
    }
  }

  /** Tells our readers the run's end if it has one; else they must ask again. */
  private async settleElsewhere(run: BegunRun, feed: RunFeed, log: Log): Promise<void> {
    try {
      const record = await this.services.runs.find(run.key);
      const end = record && endOf(record);
      if (end) feed.end(end);
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'run record unreadable');
    }
    feed.cut();
  }

  private async persistently<T>(access: () => Promise<T>, signal: AbortSignal, log: Log): Promise<T> {
    for (let pause = 100; ; pause = Math.min(5_000, pause * 2)) {
      signal.throwIfAborted();
      try {
        return await access();
      } catch (error) {
        log.warn({ error: (error as Error).message, pause }, 'database access failed, trying again');
      }
      await sleep(this.services.clock, pause, signal);
    }
  }
}

export const chatTopic = (chat: string) => `chat ${chat}`;
