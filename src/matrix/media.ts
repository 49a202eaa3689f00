import type { Clock } from '../time/clock.js';
import { asHomeserverError, errorOfAnswer } from './failure.js';
import { HomeserverError, type MediaAddress } from './homeserver.js';
import { type Call, DeadlineError } from './request.js';

export interface MediaRequest {
  address: MediaAddress;
  /** Bytes: a file that turns out to be larger is given up there. */
  most: number;
  /** Milliseconds until all of it must have been read. */
  deadlineMs: number;
  signal?: AbortSignal | undefined;
}

/** A homeserver's error page is not read further. */
const MOST_OF_AN_ERROR = 64 * 1024;

/**
 * Reads a file over the authenticated endpoint (Matrix 1.11: `GET /_matrix/client/v1/media/download`), the token in
 * the header. Rejects with {@link HomeserverError} only; one that is larger than `most` is `refused` with 413, one that
 * is answered with a redirection, which was not asked for, with its status.
 */
export async function downloadMedia(
  { url, accessToken, clock }: { url: string; accessToken: string; clock: Clock },
  { address, most, deadlineMs, signal }: MediaRequest,
): Promise<Uint8Array> {
  const endpoint = 'GET /_matrix/client/v1/media/download';
  const call: Call = { clock, signal };
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal?.reason);
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  const cancel = clock.after(deadlineMs, () => controller.abort(new DeadlineError(deadlineMs)));
  try {
    const path = `${encodeURIComponent(address.server)}/${encodeURIComponent(address.mediaId)}`;
    const response = await fetch(`${url.replace(/\/+$/, '')}/_matrix/client/v1/media/download/${path}`, {
      headers: { authorization: `Bearer ${accessToken}` },
      // The token must not go where a redirection points.
      redirect: 'manual',
      signal: controller.signal,
    });
    call.retryAfter = response.headers.get('retry-after') ?? undefined;
    if (response.status >= 300 && response.status < 400)
      throw new HomeserverError('refused', `${endpoint}: redirected`, { status: response.status });
    const declared = Number(response.headers.get('content-length') ?? 0);
    if (response.ok && declared > most) throw tooLarge(endpoint, most);
    const bytes = await readUpTo(response, response.ok ? most : MOST_OF_AN_ERROR, endpoint);
    if (response.ok) return bytes;
    throw errorOfAnswer(response.status, Buffer.from(bytes).toString('utf8'), endpoint, call);
  } catch (error) {
    const cause: unknown = controller.signal.aborted ? controller.signal.reason : error;
    throw asHomeserverError(cause, endpoint, call);
  } finally {
    cancel();
    signal?.removeEventListener('abort', onAbort);
    // What was not read is not waited for.
    controller.abort();
  }
}

async function readUpTo(response: Response, most: number, endpoint: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > most) throw tooLarge(endpoint, most);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks, size));
}

const tooLarge = (endpoint: string, most: number) =>
  new HomeserverError('refused', `${endpoint}: larger than ${most} bytes`, {
    status: 413,
    errcode: 'M_TOO_LARGE',
  });
