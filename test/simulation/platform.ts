import {
  PlatformError,
  type Agent,
  type Decided,
  type PlatformClient,
  type RunEvent,
  type Verdict,
} from '../../src/platform/client.js';
import type { SimulatedClock } from './clock.js';
import type { SimulatedProcess } from './process.js';

/** How the agent deals with one prompt. `n` counts its runs over all prompts, from 1. */
export interface Reply {
  text: string;
  takesMs?: number;
  /** Pieces said on the way, spread over the time. */
  deltas?: string[];
  /** It asks for this approval after a third of the time, and goes on after two thirds. */
  approval?: string;
  /** It asks for this approval, waits for a decision, and says in the end which it was. */
  asks?: string;
  /** The run ends with this error instead. */
  error?: string;
}

export interface Invocation {
  key: string;
  chat: string;
  text: string;
  user: string;
  /** Names and texts of what went with it. */
  files?: string[];
}

/** A context: what was said in it, run by run, and what was saved of it. */
interface Context {
  id: string;
  agent: string;
  key: string;
  /** Deleted with that one. */
  partOf?: string | undefined;
  turns?: Turn[];
  saved?: Map<string, Turn[]>;
}

interface Turn {
  run: string;
  text: string;
  done: boolean;
}

interface Run {
  events: RunEvent[];
  done: boolean;
  wake: Set<() => void>;
  chat?: string;
  question?: { id: string; decided?: Decided & { key: string }; goOn: (decision: Verdict) => void };
}

/** The agent platform in memory: idempotent by key, unless told to be forgetful. */
export class SimulatedPlatform {
  agents: Agent[] = [
    { id: 'agent-1', name: 'One', description: 'the first', isDefault: true },
    { id: 'agent-2', name: 'Two', description: '', isDefault: false },
  ];
  answer: (prompt: Invocation, n: number) => Reply = ({ text }) => ({ text: `echo: ${text}` });
  /** Keys are not remembered: every call is a first call, so that every replica that asks gets another run. */
  forgetful = false;
  /** Runs begun, in order. */
  readonly invocations: Invocation[] = [];
  /** Contexts made. */
  readonly chats: Context[] = [];
  /** Runs that were cancelled, by key, in order. */
  readonly cancelled: string[] = [];
  /** Told of each write right after it was carried out, before its answer is on the way. */
  onWrite: (process: SimulatedProcess) => void = () => {};
  /** Decisions that hold, in order. */
  readonly decided: { run: string; approval: string; decision: Verdict; by: string | undefined }[] = [];
  /** Contexts in which nothing is asked any more. */
  readonly agreed = new Set<string>();
  readonly #written = new Map<string, unknown>();
  /** Contexts deleted, in order. */
  readonly deleted: string[] = [];
  readonly #deletions = new Set<string>();
  readonly #runs = new Map<string, Run>();
  /** Of chats that were lost, by key. */
  readonly #ids = new Map<string, string>();
  #up = true;
  /** How long each call takes, but for runs. */
  answersAfterMs = 1;

  constructor(
    private readonly clock: SimulatedClock,
    private readonly name = 'p',
  ) {}

  /** Its database is gone, with all contexts and runs; a key gives the id again that it gave before. */
  loses(): void {
    for (const { key, id } of this.chats.splice(0)) this.#ids.set(key, id);
    this.#runs.clear();
  }

  down(): void {
    this.#up = false;
    for (const run of this.#runs.values()) for (const wake of run.wake) wake();
  }

  up(): void {
    this.#up = true;
  }

  /** The platform as one process sees it. */
  client(process: SimulatedProcess): PlatformClient {
    const call = async <T>(signal: AbortSignal | undefined, apply: () => T): Promise<T> => {
      await process.gate();
      this.#reach(signal);
      const result = structuredClone(apply());
      await process.outside(this.answersAfterMs);
      await process.gate();
      return result;
    };
    const chat = (key: string, agent: string, partOf?: string) => {
      const known = this.forgetful ? undefined : this.chats.find((one) => one.key === key);
      if (known) return { platform_chat_id: known.id, agent: known.agent };
      const id = this.#ids.get(key) ?? `${this.name}-chat-${this.chats.length + this.#ids.size + 1}`;
      if (partOf !== undefined) find(partOf);
      const made = { id, agent, key, ...(partOf !== undefined && { partOf }) };
      this.chats.push(made);
      return { platform_chat_id: made.id, agent };
    };
    const write = <T>(key: string, signal: AbortSignal | undefined, apply: () => T): Promise<T> =>
      call(signal, () => {
        if (!this.#written.has(key)) this.#written.set(key, apply());
        this.onWrite(process);
        return this.#written.get(key) as T;
      });
    const find = (id: string) => {
      const found = this.chats.find((one) => one.id === id);
      if (!found) throw new PlatformError('refused', 'there is no such chat', 404, 'no-such-chat');
      return found;
    };
    return {
      agents: (signal) => call(signal, () => this.agents),
      createChat: (key, { agent, part_of }, signal) =>
        call(signal, () => {
          const made = chat(key, agent, part_of);
          this.onWrite(process);
          return made;
        }),
      branchChat: (key, from, { before }, signal) =>
        write(key, signal, () => {
          const { agent, turns = [] } = find(from);
          const end = turns.findIndex(({ run, done }) => (before === undefined ? !done : run === before));
          if (end < 0 && before !== undefined)
            throw new PlatformError('refused', 'no such run', 404, 'no-such-run');
          const branched = chat(key, agent);
          find(branched.platform_chat_id).turns = turns.slice(0, end < 0 ? undefined : end);
          return branched;
        }),
      sendMessage: (key, chatId, { text, user, attachments = [] }, signal, onBegun) => {
        const files = attachments.map(({ name, bytes }) => `${name}: ${Buffer.from(bytes).toString()}`);
        const prompt = { key, chat: chatId, text, user, ...(files.length > 0 && { files }) };
        return this.#follow(process, prompt, signal, onBegun);
      },
      cancel: (key, signal) =>
        call(signal, () => {
          this.#cancel(key);
          this.onWrite(process);
        }),
      decide: (key, of, approval, { decision, by }, signal) =>
        call(signal, () => {
          const held = this.#decide(of, approval, { decision, by, ours: true, key });
          this.onWrite(process);
          return { decision: held.decision, by: held.by, ours: held.key === key };
        }),
      saveContext: (key, id, name, signal) =>
        write(key, signal, () => {
          const one = find(id);
          (one.saved ??= new Map()).set(name, [...(one.turns ?? [])]);
        }),
      loadContext: (key, id, name, signal) =>
        write(key, signal, () => {
          const one = find(id);
          const saved = one.saved?.get(name);
          if (!saved) throw new PlatformError('refused', 'no such context', 404, 'no-such-context');
          one.turns = [...saved];
        }),
      listContexts: (id, signal) =>
        call(signal, () => [...(find(id).saved?.keys() ?? [])].sort().map((name) => ({ name, saved_at: 0 }))),
      deleteChat: (key, chatId, signal) => call(signal, () => this.#delete(key, chatId)),
      deleteContext: () => Promise.reject(new PlatformError('refused', 'not simulated')),
    };
  }

  /** A run that has not begun is ended before it can. */
  #cancel(key: string): void {
    const end: RunEvent = { type: 'error', code: 'cancelled', message: 'the run was cancelled' };
    const run = this.#runs.get(key) ?? { events: [], done: false, wake: new Set() };
    this.#runs.set(key, run);
    if (run.done) return;
    run.done = true;
    run.events.push(end);
    this.cancelled.push(key);
    for (const wake of [...run.wake]) wake();
  }

  #decide(key: string, approval: string, decided: Decided & { key: string }) {
    const run = this.#runs.get(key);
    const question = run?.question;
    if (run === undefined || question?.id !== approval)
      throw new PlatformError('refused', 'no such question', 404, 'no-such-approval');
    if (question.decided === undefined) {
      if (run.done) throw new PlatformError('refused', 'over', 409, 'approval-over');
      question.decided = decided;
      const { decision, by } = decided;
      this.decided.push({ run: key, approval, decision, by });
      if (decision === 'always' && run.chat !== undefined) this.agreed.add(run.chat);
      run.events.push({ type: 'decided', id: approval, decision, by });
      question.goOn(decision);
      for (const wake of [...run.wake]) wake();
    }
    return question.decided;
  }

  /** What somebody does at the platform itself. */
  elsewhere(run: string, what: 'cancel' | { approval: string; decision: Verdict }): void {
    if (what === 'cancel') this.#cancel(run);
    else this.#decide(run, what.approval, { ...what, by: undefined, ours: true, key: 'by hand' });
  }

  /** Nobody decided in time. */
  expire(): void {
    for (const run of this.#runs.values()) {
      if (run.done || run.question === undefined || run.question.decided !== undefined) continue;
      run.done = true;
      run.events.push({ type: 'error', code: 'approval-expired', message: 'nobody answered in time' });
      for (const wake of [...run.wake]) wake();
    }
  }

  #delete(key: string, chat: string): void {
    if (this.#deletions.has(key)) return;
    this.#deletions.add(key);
    const gone = this.chats.filter(({ id, partOf }) => id === chat || partOf === chat);
    for (const one of gone) {
      this.#ids.set(one.key, one.id);
      this.chats.splice(this.chats.indexOf(one), 1);
    }
    this.deleted.push(chat);
  }

  #reach(signal: AbortSignal | undefined): void {
    if (signal?.aborted) throw new PlatformError('aborted', 'aborted by the caller');
    if (!this.#up) throw new PlatformError('unreachable', 'simulated outage');
  }

  async *#follow(
    process: SimulatedProcess,
    prompt: Invocation,
    signal: AbortSignal | undefined,
    onBegun?: () => void,
  ): AsyncGenerator<RunEvent> {
    await process.gate();
    this.#reach(signal);
    if (!this.chats.some(({ id }) => id === prompt.chat)) {
      throw new PlatformError('refused', 'there is no such chat', 404, 'no-such-chat');
    }
    const run = this.#run(prompt);
    onBegun?.();
    // Of a run that is over nobody hears again what it said on the way.
    const events = run.done
      ? run.events.filter(({ type }) => type !== 'delta' && type !== 'approval')
      : run.events;
    for (let next = 0; ;) {
      this.#reach(signal);
      const event = events[next];
      if (event !== undefined) {
        next += 1;
        yield structuredClone(event);
        continue;
      }
      if (run.done) return;
      await new Promise<void>((resolve) => {
        const done = () => {
          run.wake.delete(done);
          signal?.removeEventListener('abort', done);
          resolve();
        };
        run.wake.add(done);
        signal?.addEventListener('abort', done, { once: true });
      });
      await process.gate();
    }
  }

  #run(prompt: Invocation): Run {
    const known = this.forgetful ? undefined : this.#runs.get(prompt.key);
    if (known) return known;
    const run: Run = { events: [], done: false, wake: new Set(), chat: prompt.chat };
    this.#runs.set(this.forgetful ? `${prompt.key} ${this.invocations.length}` : prompt.key, run);
    this.invocations.push(prompt);
    const reply = this.answer(prompt, this.invocations.length);
    const turn: Turn = { run: prompt.key, text: prompt.text, done: false };
    const context = this.chats.find(({ id }) => id === prompt.chat);
    (context ? (context.turns ??= []) : []).push(turn);
    const { deltas = [], takesMs = 5, approval, asks, error } = reply;
    const say = (ms: number, event: RunEvent, done: boolean) =>
      this.clock.after(ms, () => {
        if (run.done) return;
        turn.done ||= done;
        run.events.push(event);
        run.done = done;
        for (const wake of [...run.wake]) wake();
      });
    deltas.forEach((text, i) =>
      say((takesMs * (i + 1)) / (deltas.length + 1), { type: 'delta', text }, false),
    );
    if (approval !== undefined) {
      say(takesMs / 3, { type: 'approval', id: approval, question: 'May I?' }, false);
      say((2 * takesMs) / 3, { type: 'delta', text: 'I may.' }, false);
    }
    if (asks !== undefined && !this.agreed.has(prompt.chat)) {
      const goOn = (decision: Verdict) =>
        say(takesMs, { type: 'final', text: `${reply.text} [${decision}]` }, true);
      run.question = { id: asks, goOn };
      say(takesMs / 2, { type: 'approval', id: asks, question: 'May I?' }, false);
      return run;
    }
    const end: RunEvent =
      error === undefined
        ? { type: 'final', text: reply.text }
        : { type: 'error', code: 'simulated', message: error };
    say(takesMs, end, true);
    return run;
  }
}
