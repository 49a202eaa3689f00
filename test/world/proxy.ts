import {
  createServer,
  request,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse,
} from 'node:http';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { testPort } from './port.js';
import { PutLog, type Put } from './put-log.js';

/** What a proxy does with a request. */
export type Behaviour =
  | { kind: 'pass' }
  /** Passes it on once the promise resolves; so two clients can be made to do something at the same moment. */
  | { kind: 'hold'; until: Promise<unknown> }
  /** Answers itself: 429 with a wait in body and header, or an error page with another status. */
  | { kind: 'refuse'; status: number; retryAfterMs?: number }
  /** Never answers, and does not ask behind either. */
  | { kind: 'hang' }
  /** Asks behind and drops the answer: the client cannot know that the request was carried out. */
  | { kind: 'drop-answer' }
  /** Closes the connection at once, as an unreachable host would. */
  | { kind: 'cut' };

export interface Seen {
  method: string;
  path: string;
}

type Rule = (seen: Seen) => Behaviour | undefined;
/** Called with a PUT of an event; the proxy goes on with it when the promise resolves. */
export type PutHook = (put: Put) => Promise<void> | void;

/** A request that asks for a change, whole. */
export interface Write extends Seen {
  body: unknown;
  /** The key that makes it idempotent at the platform. */
  key: string | undefined;
}

/** Stands between a client and what it changes; the proxy goes on when the promise resolves, and breaks off when it rejects. */
export interface Between {
  /** Before the request is passed on, which it is also when its client is gone by then. */
  arrived(write: Write): Promise<void> | void;
  /** It was carried out, and its client has not heard of it. */
  applied(write: Write): Promise<void> | void;
}

const EVENT_PUT = /^\/_matrix\/client\/[^/]+\/rooms\/[^/]+\/(?:send\/[^/]+|redact\/[^/]+)\/([^/?]+)/;

/** Whether a request sends or redacts an event. */
export const isEventPut = ({ method, path }: Seen): boolean => method === 'PUT' && EVENT_PUT.test(path);

/**
 * An HTTP proxy before a homeserver or a platform, one per client, which can fail in each of the ways that a real one
 * does. Without a rule it passes everything on, streams included.
 */
export class Proxy {
  readonly #rules: Rule[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((incoming, answer) => void this.#serve(incoming, answer));
  #arrived: PutHook | undefined;
  #applied: PutHook | undefined;
  #between: Between | undefined;
  /** Requests so far, by what became of them. */
  readonly counts: Record<Behaviour['kind'], number> = {
    pass: 0,
    hold: 0,
    refuse: 0,
    hang: 0,
    'drop-answer': 0,
    cut: 0,
  };

  private constructor(
    readonly client: string,
    readonly target: string,
    readonly port: number,
    readonly log: PutLog,
  ) {
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(options: { client: string; target: string; log?: PutLog }): Promise<Proxy> {
    const proxy = new Proxy(options.client, options.target, await testPort(), options.log ?? new PutLog());
    proxy.#server.listen(proxy.port, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Adds a rule; the newest that has an answer for a request decides. Returns its removal. */
  rule(rule: Rule): () => void {
    this.#rules.unshift(rule);
    return () => {
      const at = this.#rules.indexOf(rule);
      if (at >= 0) this.#rules.splice(at, 1);
    };
  }

  /** Treats every request so, or those that `which` picks. Returns the way back. */
  all(behaviour: Behaviour, which: (seen: Seen) => boolean = () => true): () => void {
    if (behaviour.kind === 'cut') for (const socket of this.#sockets) socket.destroy();
    return this.rule((seen) => (which(seen) ? behaviour : undefined));
  }

  /** Calls `hook` between a PUT's arrival here and its way to the homeserver. One hook at a time. */
  onArrival(hook: PutHook | undefined): void {
    this.#arrived = hook;
  }

  /** Calls `hook` when the homeserver has carried a PUT out and its client has not heard of it. One hook at a time. */
  onApplied(hook: PutHook | undefined): void {
    this.#applied = hook;
  }

  /** Everything but reads goes past this. One at a time. */
  between(between: Between | undefined): void {
    this.#between = between;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #decide(seen: Seen): Behaviour {
    for (const rule of this.#rules) {
      const behaviour = rule(seen);
      if (behaviour) return behaviour;
    }
    return { kind: 'pass' };
  }

  async #serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const seen = { method: incoming.method ?? '', path: incoming.url ?? '' };
    const behaviour = this.#decide(seen);
    this.counts[behaviour.kind] += 1;
    switch (behaviour.kind) {
      case 'hang':
        return void incoming.resume();
      case 'cut':
        return void incoming.socket.destroy();
      case 'refuse':
        incoming.resume();
        return refuse(answer, behaviour);
      case 'pass':
      case 'hold':
      case 'drop-answer':
        try {
          if (behaviour.kind === 'hold') await behaviour.until;
          await this.#forward(seen, incoming, answer, behaviour.kind === 'drop-answer');
        } catch {
          // Whichever side broke off, the other is told in the only way there is.
          answer.destroy();
          incoming.socket.destroy();
        }
    }
  }

  async #forward(
    seen: Seen,
    incoming: IncomingMessage,
    answer: ServerResponse,
    drop: boolean,
  ): Promise<void> {
    const body = await readAll(incoming);
    this.log.hold(seen.method, seen.path, parsed(body));
    const txn = isEventPut(seen) ? EVENT_PUT.exec(seen.path)?.[1] : undefined;
    let put: Put | undefined;
    if (txn !== undefined) {
      put = { client: this.client, txn, path: seen.path, body: parsed(body), arrivedAt: performance.now() };
      this.log.puts.push(put);
      await this.#arrived?.(put);
    }
    const write = seen.method === 'GET' ? undefined : writeOf(seen, body, incoming);
    if (write) await this.#between?.arrived(write);
    const target = new URL(seen.path, this.target);
    const headers = { ...incoming.headers, host: target.host };
    const upstream = await ask(target, { method: seen.method, headers }, body, answer);
    if (put) {
      put.answeredAt = performance.now();
      if (upstream.statusCode !== undefined) put.status = upstream.statusCode;
      await this.#applied?.(put);
    }
    if (write) await this.#between?.applied(write);
    if (drop) {
      upstream.resume();
      incoming.socket.destroy();
      return;
    }
    answer.writeHead(upstream.statusCode ?? 502, upstream.headers);
    answer.flushHeaders();
    await pipeline(upstream, answer);
  }
}

function refuse(
  answer: ServerResponse,
  { status, retryAfterMs }: { status: number; retryAfterMs?: number },
): void {
  if (status !== 429) {
    answer.writeHead(status, { 'content-type': 'text/html' }).end('<html><h1>Bad gateway</h1></html>');
    return;
  }
  const wait = retryAfterMs ?? 100;
  answer.writeHead(429, {
    'content-type': 'application/json',
    'retry-after': String(Math.ceil(wait / 1000)),
  });
  answer.end(
    JSON.stringify({ errcode: 'M_LIMIT_EXCEEDED', error: 'Too many requests', retry_after_ms: wait }),
  );
}

/** Asks the target; the request is given up when the client goes away, unless it has been sent already. */
function ask(
  target: URL,
  options: RequestOptions,
  body: Buffer,
  answer: ServerResponse,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(target, options, resolve);
    outgoing.on('error', reject);
    // A read whose reader has gone would wait for its long poll; a write is carried out all the same.
    if (options.method === 'GET') answer.on('close', () => outgoing.destroy());
    outgoing.end(body);
  });
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function writeOf(seen: Seen, body: Buffer, { headers }: IncomingMessage): Write {
  const key = headers['idempotency-key'];
  return { ...seen, body: parsed(body), key: typeof key === 'string' ? decodeURIComponent(key) : undefined };
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    // Not JSON: kept as it came.
    return body.toString();
  }
}
