import { digest } from '../../documents/digest.js';
import { kinds } from '../../documents/schemas/kinds.js';

/** A context that is to be deleted at the platform. */
export interface OwedContext {
  /** Hash of the room. */
  readonly place: string;
  readonly chat: string;
  readonly to: number;
  /** The same on every replica, and another one when the person is forgotten again. */
  readonly key: string;
}

interface ForgottenContext extends OwedContext {
  /** Hash of the person. */
  readonly of: unknown;
  readonly isOwed: boolean;
}

/** Every context that the erasures name, and whether it is still to be deleted. */
export function* forgottenContexts(
  erasures: Iterable<[string, Readonly<Record<string, unknown>>]>,
  clusterId: string,
): Iterable<ForgottenContext> {
  for (const [key, record] of erasures) {
    const place = key.slice(kinds.erasure.prefix.length);
    for (const [field, to] of Object.entries(record)) {
      if (!field.startsWith('chat:') || typeof to !== 'number') continue;
      const chat = field.slice('chat:'.length);
      const gone = record[`gone:${chat}`];
      const name = digest('understudy-delete', clusterId, place, chat, String(to)).toString('base64url');
      const isOwed = typeof gone !== 'number' || gone < to;
      yield { place, chat, to, key: name, of: record['of'], isOwed };
    }
  }
}
