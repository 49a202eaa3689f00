import { createHash } from 'node:crypto';

/**
 * Idempotency keys of the platform (PROTOCOL P1): for a chat that is mapped on first use, (cluster, room), or of a thread
 * (cluster, the room's chat, the thread's root); for everything a source causes, (source, step). Hashed, so that no key carries the cluster id.
 */
export const roomKey = (cluster: string, room: string) => hash('room', cluster, room);
export const threadKey = (cluster: string, chat: string, root: string) => hash('thread', cluster, chat, root);
/** For the chat that takes the place of one that the platform has lost. */
export const replacementKey = (cluster: string, lost: string) => hash('replacement', cluster, lost);
export const stepKey = (source: string, step: string) => hash('step', source, step);

function hash(...parts: string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
