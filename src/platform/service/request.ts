import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { KEY_HEADER } from '../wire.js';
import { Refusal } from './errors.js';
import { wellFormed } from './text.js';

export const LARGEST_BODY = 1024 * 1024;

/** Control characters are in no id of ours; NUL would not even be stored. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;

export const idSchema = z
  .string()
  .min(1)
  .max(512)
  .refine((id) => !CONTROL.test(id), 'must not contain control characters');

/** Text of people: any, stored as far as databases can. */
export const textSchema = z.string().transform(wellFormed);

/** The percent-decoded `Idempotency-Key` header. Throws {@link Refusal}. */
export function readKey(request: IncomingMessage): string {
  const header = request.headers[KEY_HEADER];
  if (typeof header !== 'string' || header === '') {
    throw new Refusal('missing-key', 'this call needs the header Idempotency-Key');
  }
  return parse(idSchema, decode(header), 'Idempotency-Key');
}

/** Path segments, percent-decoded. Throws {@link Refusal}. */
export function readPath(request: IncomingMessage): { segments: string[]; query: URLSearchParams } {
  const [path = '', query = ''] = (request.url ?? '/').split('?', 2);
  const segments = path.split('/').filter((segment) => segment !== '');
  return { segments: segments.map(decode), query: new URLSearchParams(query) };
}

function decode(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new Refusal('bad-request', 'not a valid percent-encoding');
  }
}

/** Reads a JSON body of at most 1 MiB, or `largest` bytes. Throws {@link Refusal}. */
export async function readBody<T>(
  request: IncomingMessage,
  schema: z.ZodType<T>,
  largest = LARGEST_BODY,
): Promise<T> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > largest) throw new Refusal('too-large', `the body is larger than ${largest} bytes`);
    chunks.push(chunk);
  }
  let content: unknown;
  try {
    content = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new Refusal('bad-request', 'the body is not JSON');
  }
  return parse(schema, content, 'body');
}

/** Throws {@link Refusal} that names the field, and never repeats what was in it. */
export function parse<T>(schema: z.ZodType<T>, content: unknown, what: string): T {
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = [what, ...(issue?.path ?? [])].join('.');
  throw new Refusal('bad-request', `${field}: ${issue?.message ?? 'invalid'}`);
}

/** Compares in constant time. Throws {@link Refusal}. */
export function checkToken(request: IncomingMessage, token: string | undefined): void {
  if (token === undefined) return;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const given = request.headers.authorization ?? '';
  if (!timingSafeEqual(digest(given), digest(`Bearer ${token}`))) {
    throw new Refusal('unauthorized', 'wrong or missing bearer token');
  }
}
