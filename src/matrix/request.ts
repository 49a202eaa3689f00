import { AsyncLocalStorage } from 'node:async_hooks';
import { type Clock, systemClock } from '../time/clock.js';

/** What one call adds to a request that matrix-bot-sdk has no parameter for, and what it wants to know of the answer. */
export interface Call {
  clock: Clock;
  signal?: AbortSignal | undefined;
  /** Filled in by {@link fetchRequest}: the `Retry-After` header, which matrix-bot-sdk drops with the rest. */
  retryAfter?: string | undefined;
}

/** The call in progress. matrix-bot-sdk has one request function for the whole process, so a call is found by context. */
export const currentCall = new AsyncLocalStorage<Call>();

/** The parameters of the `request` package that matrix-bot-sdk uses. */
export interface RequestParams {
  uri: string;
  method: string;
  qs?: Record<string, unknown> | null;
  /** A string or a Buffer; matrix-bot-sdk has encoded JSON itself. */
  body?: string | Uint8Array<ArrayBuffer>;
  /** An object to be sent as JSON, where there is no `body`. */
  json?: unknown;
  headers?: Record<string, string>;
  /** Milliseconds until the whole answer must have been read. */
  timeout?: number;
  /** `null` asks for a Buffer, anything else for a string. */
  encoding?: string | null;
}

export interface RequestAnswer {
  statusCode: number;
  headers: Record<string, string>;
  body: string | Buffer;
}

export type RequestCallback = (error: Error | null, answer?: RequestAnswer, body?: string | Buffer) => void;

const defaultTimeoutMs = 60_000;
/** More than any /sync answer of a bot; a server that never stops sending must not fill the memory. */
const maxAnswerBytes = 256 * 1024 * 1024;

/** The request's own deadline passed; whether it was carried out is unknown. */
export class DeadlineError extends Error {
  constructor(ms: number) {
    super(`no answer within ${ms} ms`);
    this.name = 'DeadlineError';
  }
}

/**
 * The request function given to matrix-bot-sdk (`setRequestFn`) in place of the `request` package: global `fetch`,
 * whose connections are kept alive, with a deadline over the whole answer and the AbortSignal of
 * {@link currentCall}. Calls back once: with an answer of any status, or with the error.
 */
export function fetchRequest(params: RequestParams, callback: RequestCallback): void {
  void answerInto(callback, params, currentCall.getStore());
}

async function answerInto(callback: RequestCallback, params: RequestParams, call: Call | undefined) {
  let answer: RequestAnswer;
  try {
    answer = await exchange(params, call);
  } catch (error) {
    callback(error instanceof Error ? error : new Error(String(error)));
    return;
  }
  callback(null, answer, answer.body);
}

async function exchange(params: RequestParams, call: Call | undefined): Promise<RequestAnswer> {
  const clock = call?.clock ?? systemClock;
  const timeoutMs = params.timeout ?? defaultTimeoutMs;
  const controller = new AbortController();
  const onAbort = () => controller.abort(call?.signal?.reason);
  if (call?.signal?.aborted) onAbort();
  call?.signal?.addEventListener('abort', onAbort, { once: true });
  const cancelDeadline = clock.after(timeoutMs, () => controller.abort(new DeadlineError(timeoutMs)));
  try {
    const headers = new Headers(params.headers);
    const init: RequestInit = { method: params.method, headers, signal: controller.signal };
    if (params.body !== undefined) init.body = params.body;
    else if (params.json !== undefined) {
      init.body = JSON.stringify(params.json);
      if (!headers.has('content-type')) headers.set('content-type', 'application/json');
    }
    const response = await fetch(withQuery(params.uri, params.qs), init);
    if (call) call.retryAfter = response.headers.get('retry-after') ?? undefined;
    const bytes = await readBounded(response, controller);
    return {
      statusCode: response.status,
      headers: Object.fromEntries(response.headers),
      body: params.encoding === null ? bytes : bytes.toString('utf8'),
    };
  } finally {
    cancelDeadline();
    call?.signal?.removeEventListener('abort', onAbort);
  }
}

function withQuery(uri: string, qs: RequestParams['qs']): URL {
  const url = new URL(uri);
  for (const [key, value] of Object.entries(qs ?? {})) {
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (one === undefined || one === null) continue;
      url.searchParams.append(key, typeof one === 'string' ? one : JSON.stringify(one));
    }
  }
  return url;
}

async function readBounded(response: Response, controller: AbortController): Promise<Buffer> {
  if (!response.body) return Buffer.alloc(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > maxAnswerBytes) {
      controller.abort();
      throw new Error(`the answer is larger than ${maxAnswerBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}
