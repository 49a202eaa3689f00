import { HomeserverError } from './homeserver.js';

/**
 * Errcodes by which a 403 or 404 says something of the room, event or person that was asked about (Matrix spec, common
 * error codes, and those of joining, leaving and inviting). By any other it says something of our account (suspended,
 * over a limit, a consent that is owed) or of the way to the homeserver (a proxy or worker that does not know the
 * endpoint), which passes, and may look different from another replica.
 */
const OF_WHAT_WAS_ASKED = new Set([
  'M_FORBIDDEN',
  'M_NOT_FOUND',
  'M_GUEST_ACCESS_FORBIDDEN',
  'M_BAD_STATE',
  'M_UNABLE_TO_AUTHORISE_JOIN',
  'M_CANNOT_LEAVE_SERVER_NOTICE_ROOM',
  'M_INVITE_BLOCKED',
]);

type Refusal = HomeserverError & { readonly code: 'refused' };

/** What was asked about is closed to us, or is not there; not a 401, nor a status whose errcode says something else. */
export const isClosedToUs = (error: unknown): error is Refusal =>
  error instanceof HomeserverError &&
  error.code === 'refused' &&
  (error.detail.status === 403 || error.detail.status === 404) &&
  OF_WHAT_WAS_ASKED.has(error.detail.errcode ?? '');

/**
 * The homeserver said no to what was asked. Any other failure is an outage, whatever its status: nothing may be concluded
 * from it, and it is asked again.
 */
export function isRefused(error: unknown): error is Refusal {
  if (!(error instanceof HomeserverError) || error.code !== 'refused') return false;
  const { status } = error.detail;
  return status === 403 || status === 404 ? isClosedToUs(error) : status !== 401;
}

/**
 * The same, or a 403 or 404 that does not say why (`M_UNKNOWN`: Synapse of rooms that it blocks, or knows no server of).
 * For what is given up then and nothing more: no mark and no position may follow from it.
 */
export const isTurnedDown = (error: unknown): error is Refusal =>
  isRefused(error) ||
  (error instanceof HomeserverError &&
    error.code === 'refused' &&
    (error.detail.status === 403 || error.detail.status === 404) &&
    error.detail.errcode === 'M_UNKNOWN');

/**
 * A 404 of an endpoint rather than of what was asked. A worker that is misled says so for a while, a homeserver that has
 * no such endpoint for ever.
 */
export const isUnknownEndpoint = (error: unknown): boolean =>
  error instanceof HomeserverError &&
  error.code === 'refused' &&
  error.detail.status === 404 &&
  !isRefused(error);
