import { HomeserverError } from './homeserver.js';

/**
 * The path of an endpoint from its segments, each encoded. Ids are others' words: one with half of a character has no
 * encoding, and one of dots would lead to another endpoint. Nothing stands under such an id: the same 404 as for any
 * that the homeserver does not know.
 * @throws HomeserverError
 */
export function pathOf(segments: readonly string[]): string {
  for (const segment of segments) {
    if (/^\.{1,2}$/.test(segment) || /\p{Surrogate}/u.test(segment))
      throw new HomeserverError('refused', 'an id that no path can hold', {
        status: 404,
        errcode: 'M_NOT_FOUND',
      });
  }
  return segments.map((segment) => `/${encodeURIComponent(segment)}`).join('');
}
