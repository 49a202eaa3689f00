import { MatrixError } from 'matrix-bot-sdk';
import { z } from 'zod';
import { HomeserverError } from './homeserver.js';
import type { Call } from './request.js';

/** A wait longer than this is asked for again; it also keeps timers within their range. */
const longestWaitMs = 3_600_000;

const httpAnswer = z.object({ statusCode: z.number(), body: z.unknown() });
const errorBody = z.object({
  errcode: z.string().catch('M_UNKNOWN'),
  error: z.string().catch(''),
  retry_after_ms: z.number().optional().catch(undefined),
});

/**
 * Turns whatever a matrix-bot-sdk request threw into the one error that callers of a homeserver see
 * (codes: {@link HomeserverError}). Messages carry the endpoint, status and errcode, never a body or a token.
 */
export function asHomeserverError(thrown: unknown, endpoint: string, call: Call): HomeserverError {
  if (thrown instanceof HomeserverError) return thrown;
  if (call.signal?.aborted) return new HomeserverError('aborted', `${endpoint}: given up by us`);
  if (thrown instanceof MatrixError) {
    return fromAnswer(thrown.statusCode, errorBody.safeParse(thrown.body).data, endpoint, call);
  }
  const answer = httpAnswer.safeParse(thrown);
  if (answer.success) return fromAnswer(answer.data.statusCode, undefined, endpoint, call);
  return new HomeserverError('unreachable', `${endpoint}: ${reasonOf(thrown)}`);
}

/** The error of an answer that matrix-bot-sdk did not read. */
export function errorOfAnswer(status: number, text: string, endpoint: string, call: Call): HomeserverError {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined; // a proxy's page: the status alone is what we know
  }
  return fromAnswer(status, errorBody.safeParse(body).data, endpoint, call);
}

function fromAnswer(
  status: number,
  body: z.infer<typeof errorBody> | undefined,
  endpoint: string,
  call: Call,
): HomeserverError {
  const errcode = body?.errcode;
  const detail = { status, ...(errcode === undefined ? {} : { errcode }) };
  const what = `${endpoint}: ${status}${errcode ? ` ${errcode}` : ''}${body?.error ? ` (${body.error.slice(0, 200)})` : ''}`;
  if (status === 429 || errcode === 'M_LIMIT_EXCEEDED') {
    const retryAfterMs = waitOf(body?.retry_after_ms, call.retryAfter, call.clock.now());
    return new HomeserverError('rate-limited', what, {
      ...detail,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  // A proxy's 413 page is final although it is no Matrix error: the same bytes never pass.
  const final = status >= 400 && status < 500 && (body !== undefined || status === 413);
  return new HomeserverError(final ? 'refused' : 'unreachable', what, detail);
}

/** `retry_after_ms` of the body before the header (Matrix 1.10: seconds or an HTTP date); milliseconds. */
function waitOf(ofBody: number | undefined, header: string | undefined, now: number): number | undefined {
  const ms = ofBody ?? (header === undefined ? undefined : waitOfHeader(header.trim(), now));
  if (ms === undefined || !Number.isFinite(ms)) return undefined;
  return Math.min(Math.max(0, ms), longestWaitMs);
}

function waitOfHeader(header: string, now: number): number {
  return /^\d+(\.\d+)?$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
}

function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'no answer that can be understood';
  const { cause } = thrown;
  return cause instanceof Error ? `${thrown.message}: ${cause.message}` : thrown.message;
}
