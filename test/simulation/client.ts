import {
  type CreateRoom,
  type Homeserver,
  HomeserverError,
  type MediaAddress,
  type SyncAnswer,
} from '../../src/matrix/homeserver.js';
import type { Clock } from '../../src/time/clock.js';
import type { SimulatedRequest } from './faults.js';
import { type Device, positionOf, type SimulatedRooms } from './rooms.js';

type About = Partial<Pick<SimulatedRequest, 'room' | 'type' | 'txn' | 'event' | 'content'>>;

/** One process's connection to the simulated homeserver, under one device. */
export class SimulatedClient implements Homeserver {
  readonly name: string;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  #cut = false;
  #thaw: { promise: Promise<void>; resolve: () => void } | undefined;
  /** Ends the calls in progress, as a broken connection does. */
  readonly #open = new Set<(error: HomeserverError) => void>();

  constructor(
    private readonly server: SimulatedRooms,
    readonly identity: Device,
    options: { clock?: Clock; deadlineMs?: number; name?: string } = {},
  ) {
    this.name = options.name ?? `${identity.user}/${identity.device}`;
    this.#clock = options.clock ?? server.clock;
    this.#deadlineMs = options.deadlineMs ?? 10_000;
  }

  get user(): string {
    return this.identity.user;
  }

  /** Every call fails as `unreachable`, also those in progress; what has arrived at the homeserver stays there. */
  cutOff(): void {
    this.#cut = true;
    for (const fail of this.#open) fail(new HomeserverError('unreachable', `${this.name} is cut off`));
  }

  restore(): void {
    this.#cut = false;
  }

  /** SIGSTOP: nothing is sent and no answer is read until {@link thaw}. */
  freeze(): void {
    let resolve = () => {};
    const promise = new Promise<void>((done) => (resolve = done));
    this.#thaw ??= { promise, resolve };
  }

  thaw(): void {
    this.#thaw?.resolve();
    this.#thaw = undefined;
  }

  whoami(signal?: AbortSignal) {
    return this.#call('whoami', {}, signal, () => ({
      user_id: this.identity.user,
      device_id: this.identity.device,
    }));
  }

  sync(request: { since?: string; timeoutMs: number; signal?: AbortSignal }): Promise<SyncAnswer> {
    const { since, timeoutMs, signal } = request;
    return this.#call('sync', {}, signal, () => this.#answer(since, timeoutMs, signal), timeoutMs);
  }

  messages(room: string, page: Parameters<Homeserver['messages']>[1], signal?: AbortSignal) {
    return this.#call('messages', { room }, signal, () => this.server.messages(this.identity, room, page));
  }

  thread(room: string, root: string, page: { from?: string }, signal?: AbortSignal) {
    return this.#call('thread', { room }, signal, () => this.server.thread(this.identity, room, root, page));
  }

  context(room: string, event: string, signal?: AbortSignal) {
    return this.#call('context', { room }, signal, () => this.server.context(this.identity, room, event));
  }

  event(room: string, event: string, signal?: AbortSignal) {
    return this.#call('event', { room, event }, signal, () => this.server.event(this.identity, room, event));
  }

  send(room: string, type: string, txn: string, content: object, signal?: AbortSignal) {
    const about = { room, type, txn, content: content as Record<string, unknown> };
    return this.#call('send', about, signal, () => this.server.send(this.identity, room, type, txn, content));
  }

  redact(room: string, event: string, txn: string, reason?: string, signal?: AbortSignal) {
    const about = { room, txn, content: { redacts: event } };
    return this.#call('redact', about, signal, () =>
      this.server.redact(this.identity, room, event, txn, reason),
    );
  }

  roomState(room: string, signal?: AbortSignal) {
    return this.#call('roomState', { room }, signal, () => this.server.roomState(this.identity, room));
  }

  setState(room: string, type: string, key: string, content: object, signal?: AbortSignal) {
    const about = { room, type, content: content as Record<string, unknown> };
    return this.#call('setState', about, signal, () =>
      this.server.setState(this.identity, room, type, key, content),
    );
  }

  createRoom(body: CreateRoom, signal?: AbortSignal) {
    const about = { content: body as Record<string, unknown> };
    return this.#call('createRoom', about, signal, (request) =>
      this.server.createRoom(this.identity, body, () => this.server.faults.pass(request, 'middle')),
    );
  }

  stateContent(room: string, type: string, key: string, signal?: AbortSignal) {
    return this.#call('stateContent', { room, type }, signal, () =>
      this.server.stateContent(this.identity, room, type, key),
    );
  }

  stateEvent(room: string, type: string, key: string, signal?: AbortSignal) {
    return this.#call('stateEvent', { room, type }, signal, () =>
      this.server.stateEvent(this.identity, room, type, key),
    );
  }

  accountData(type: string, signal?: AbortSignal) {
    return this.#call('accountData', { type }, signal, () => this.server.accountData(this.identity, type));
  }

  setAccountData(type: string, content: object, signal?: AbortSignal) {
    const about = { type, content: content as Record<string, unknown> };
    return this.#call('setAccountData', about, signal, () =>
      this.server.setAccountData(this.identity, type, content as Record<string, unknown>),
    );
  }

  resolveAlias(alias: string, signal?: AbortSignal) {
    return this.#call('resolveAlias', {}, signal, () => this.server.resolveAlias(alias));
  }

  join(room: string, via: readonly string[] = [], signal?: AbortSignal) {
    return this.#call('join', { room }, signal, () => this.server.join(this.identity, room, via));
  }

  leave(room: string, signal?: AbortSignal) {
    return this.#call('leave', { room }, signal, () => this.server.leave(this.identity, room));
  }

  forget(room: string, signal?: AbortSignal) {
    return this.#call('forget', { room }, signal, () => this.server.forget(this.identity, room));
  }

  invite(room: string, user: string, signal?: AbortSignal) {
    return this.#call('invite', { room }, signal, () => this.server.invite(this.identity, room, user));
  }

  joinedRooms(signal?: AbortSignal) {
    return this.#call('joinedRooms', {}, signal, () => this.server.joinedRooms(this.identity.user));
  }

  media({ server, mediaId }: MediaAddress, { most }: { most: number }, signal?: AbortSignal) {
    const about = { event: `mxc://${server}/${mediaId}` };
    return this.#call('media', about, signal, () => this.server.download(server, mediaId, most));
  }

  typing(room: string, on: boolean, timeoutMs: number, signal?: AbortSignal) {
    const content = on ? { typing: on, timeout: timeoutMs } : { typing: on };
    return this.#call('typing', { room, content }, signal, () => this.#mustBeIn(room));
  }

  readReceipt(room: string, event: string, signal?: AbortSignal) {
    return this.#call('readReceipt', { room, event, content: {} }, signal, () => this.#mustBeIn(room));
  }

  #mustBeIn(room: string): void {
    this.server.room(room).authorise(this.identity.user, 'm.typing', false);
  }

  async #call<T>(
    call: string,
    about: About,
    signal: AbortSignal | undefined,
    apply: (request: SimulatedRequest) => T | Promise<T>,
    extraMs = 0,
  ): Promise<T> {
    await this.#whileFrozen();
    if (signal?.aborted) throw new HomeserverError('aborted', `${call}: given up by us`);
    const request = { client: this.name, ...this.identity, call, ...structuredClone(about) };
    try {
      return await this.#untilGivenUp(
        this.#deliver(request, apply),
        call,
        signal,
        this.#deadlineMs + extraMs,
      );
    } finally {
      await this.#whileFrozen();
    }
  }

  /** The request's own way, which goes on when its sender has given up. */
  async #deliver<T>(
    request: SimulatedRequest,
    apply: (request: SimulatedRequest) => T | Promise<T>,
  ): Promise<T> {
    await Promise.resolve();
    if (this.#cut) throw new HomeserverError('unreachable', `${this.name} is cut off`);
    const { requests, faults } = this.server;
    requests.push(request);
    const refusal = faults.refusalOf(request);
    if (refusal) throw refusal;
    await faults.pass(request, 'before');
    // Copied at once, so that the answer is of the instant at which the request was applied.
    const answer = structuredClone(await apply(request));
    await faults.pass(request, 'after');
    return answer;
  }

  #untilGivenUp<T>(
    work: Promise<T>,
    call: string,
    signal: AbortSignal | undefined,
    deadlineMs: number,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = () =>
        reject(new HomeserverError('unreachable', `${call}: no answer within ${deadlineMs} ms`));
      const abort = () => reject(new HomeserverError('aborted', `${call}: given up by us`));
      const cancelDeadline = this.#clock.after(deadlineMs, late);
      signal?.addEventListener('abort', abort, { once: true });
      this.#open.add(reject);
      void work.then(resolve, reject).finally(() => {
        cancelDeadline();
        signal?.removeEventListener('abort', abort);
        this.#open.delete(reject);
      });
    });
  }

  async #whileFrozen(): Promise<void> {
    while (this.#thaw) await this.#thaw.promise;
  }

  /** At once when there is news or no since; else on the next news or after the timeout. */
  #answer(since: string | undefined, timeoutMs: number, signal?: AbortSignal): Promise<SyncAnswer> {
    const position = since === undefined ? undefined : positionOf(since);
    const ask = () => this.server.syncAnswer(this.identity, position);
    return new Promise((resolve) => {
      const now = ask();
      if (now.news || position === undefined || timeoutMs === 0) return resolve(now.answer);
      const finish = (answer: SyncAnswer) => {
        cancelTimeout();
        unwatch();
        signal?.removeEventListener('abort', onAbort);
        resolve(answer);
      };
      const onAbort = () => finish(now.answer);
      const cancelTimeout = this.server.clock.after(timeoutMs, () => finish(ask().answer));
      const unwatch = this.server.onChange(() => {
        const next = ask();
        if (next.news) finish(next.answer);
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
