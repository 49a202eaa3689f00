import { z } from 'zod';
import type { Log } from '../telemetry/log.js';
import { systemClock, type Clock } from '../time/clock.js';
import { PlatformError, type PlatformClient, type Prompt } from './client.js';
import { deadline, type Deadline } from './deadline.js';
import { readRunStream } from './run-stream.js';
import {
  agentListBody,
  chatBody,
  contextListBody,
  decidedBody,
  errorBody,
  KEY_HEADER,
  STREAM_TYPE,
} from './wire.js';

export interface HttpPlatformOptions {
  /** Where the platform listens, without `/v1`. */
  url: string;
  token?: string;
  log: Log;
  clock?: Clock;
  /** A call is answered, and a stream begun, within this. Default 10 s. */
  answerMs?: number;
  /** A stream may be silent for so long; the platform says something every 10 s. Default 45 s. */
  idleMs?: number;
}

interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  key?: string;
  body?: object;
}

/**
 * The platform over HTTP, API version 1. The key of each call goes as `Idempotency-Key` (percent-encoded). It
 * never retries by itself. Every call rejects with {@link PlatformError} and nothing else. Leaving a stream
 * early, or aborting, ends our request only; the run goes on.
 */
export function httpPlatform(options: HttpPlatformOptions): PlatformClient {
  const { log, clock = systemClock, answerMs = 10_000, idleMs = 45_000 } = options;
  const base = `${options.url.replace(/\/+$/, '')}/v1`;

  async function send(call: Call, limit: Deadline): Promise<Response> {
    const response = await fetch(base + call.path, {
      method: call.method,
      headers: {
        accept: `${STREAM_TYPE}, application/json`,
        ...(call.body ? { 'content-type': 'application/json' } : {}),
        ...(call.key === undefined ? {} : { [KEY_HEADER]: encodeURIComponent(call.key) }),
        ...(options.token ? { authorization: `Bearer ${options.token}` } : {}),
      },
      ...(call.body ? { body: JSON.stringify(call.body) } : {}),
      redirect: 'error',
      signal: limit.signal,
    });
    if (!response.ok) throw await failure(response);
    return response;
  }

  async function ask<T>(schema: z.ZodType<T>, call: Call, signal?: AbortSignal): Promise<T> {
    const limit = deadline(clock, answerMs, signal);
    try {
      const response = await send(call, limit);
      return schema.parse(await response.json());
    } catch (error) {
      throw asPlatformError(error, limit, signal);
    } finally {
      limit.clear();
    }
  }

  async function* sendMessage(
    ...[key, chat, prompt, signal, onBegun]: Parameters<PlatformClient['sendMessage']>
  ) {
    const limit = deadline(clock, answerMs + uploadMs(prompt), signal);
    try {
      const path = `/chats/${encodeURIComponent(chat)}/messages`;
      // The body is nowhere but in this call: a run takes long, and what it was begun with is large.
      const response = await send({ method: 'POST', path, key, body: promptBody(prompt) }, limit);
      onBegun?.();
      if (!response.body) throw new PlatformError('unreachable', 'the platform sent no stream');
      limit.extend(idleMs);
      for await (const event of readRunStream(response.body, () => limit.extend(idleMs), log)) {
        // Events that had arrived before the caller aborted are not for it any more.
        if (signal?.aborted) throw new PlatformError('aborted', 'aborted by the caller');
        // The deadline judges the platform, never how long our caller thinks about an event.
        limit.clear();
        yield event;
        limit.extend(idleMs);
      }
    } catch (error) {
      throw asPlatformError(error, limit, signal);
    } finally {
      limit.clear();
    }
  }

  const chatPath = (chat: string, rest: string) => `/chats/${encodeURIComponent(chat)}/${rest}`;
  const done = z.object({});
  return {
    async agents(signal) {
      const { agents } = await ask(agentListBody, { method: 'GET', path: '/agents' }, signal);
      return agents.map(({ is_default: isDefault, ...agent }) => ({ ...agent, isDefault }));
    },
    createChat: (key, request, signal) =>
      ask(chatBody, { method: 'POST', path: '/chats', key, body: request }, signal),
    branchChat: (key, chat, request, signal) =>
      ask(chatBody, { method: 'POST', path: chatPath(chat, 'branch'), key, body: request }, signal),
    sendMessage,
    async cancel(key, signal) {
      await ask(done, { method: 'POST', path: `/runs/${encodeURIComponent(key)}/cancel`, key }, signal);
    },
    decide(key, run, approval, request, signal) {
      const path = `/runs/${encodeURIComponent(run)}/approvals/${encodeURIComponent(approval)}`;
      return ask(decidedBody, { method: 'POST', path, key, body: request }, signal);
    },
    async saveContext(key, chat, name, signal) {
      const path = chatPath(chat, `contexts/${encodeURIComponent(name)}`);
      await ask(done, { method: 'PUT', path, key }, signal);
    },
    async loadContext(key, chat, name, signal) {
      const path = chatPath(chat, `contexts/${encodeURIComponent(name)}/load`);
      await ask(done, { method: 'POST', path, key }, signal);
    },
    async deleteChat(key, chat, signal) {
      await ask(done, { method: 'DELETE', path: `/chats/${encodeURIComponent(chat)}`, key }, signal);
    },
    async deleteContext(key, chat, name, signal) {
      const path = chatPath(chat, `contexts/${encodeURIComponent(name)}`);
      await ask(done, { method: 'DELETE', path, key }, signal);
    },
    async listContexts(chat, signal) {
      const { contexts } = await ask(
        contextListBody,
        { method: 'GET', path: chatPath(chat, 'contexts') },
        signal,
      );
      return contexts;
    },
  };
}

/** Attachments take their time on a slow line: milliseconds more, for at least 256 KiB in a second. */
const uploadMs = ({ attachments = [] }: Prompt): number =>
  attachments.reduce((ms, { bytes }) => ms + bytes.length / 256, 0);

function promptBody({ text, user, attachments = [] }: Prompt): object {
  if (attachments.length === 0) return { text, user };
  const sent = attachments.map(({ name, mime_type, bytes }) => ({
    name,
    mime_type,
    data: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
  }));
  return { text, user, attachments: sent };
}

/** 408, 425 and 429 come from something in between that wants us to come back. */
async function failure(response: Response): Promise<PlatformError> {
  const { status } = response;
  const text = await response.text();
  const again = status >= 500 || status === 408 || status === 425 || status === 429;
  const said = explanation(text);
  const message = `HTTP ${status}${said === undefined ? '' : ` (${said.code}): ${said.message}`}`;
  return new PlatformError(again ? 'unreachable' : 'refused', message, status, said?.code);
}

function explanation(text: string): { code: string; message: string } | undefined {
  try {
    return errorBody.parse(JSON.parse(text)).error;
  } catch {
    return undefined; // a proxy's page, not the platform's own words: the status alone is what we know
  }
}

function asPlatformError(error: unknown, limit: Deadline, signal: AbortSignal | undefined): PlatformError {
  if (error instanceof PlatformError) return error;
  if (signal?.aborted) return new PlatformError('aborted', 'aborted by the caller');
  if (limit.expired()) return new PlatformError('unreachable', 'the platform was silent past the deadline');
  if (error instanceof z.ZodError || error instanceof SyntaxError) {
    return new PlatformError('unreachable', "the answer is not a platform's; is the URL right?");
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : (error as Error);
  return new PlatformError('unreachable', (cause as NodeJS.ErrnoException).code ?? cause.message);
}
