import { next as A } from '@automerge/automerge';
import type { RepoFrame } from './frame.js';

/**
 * The sync message of a viewer as the relay's Repo may see it: without heads that the document does not have.
 * A Repo asks for those, is sent what a viewer may not send, and asks again.
 */
export function withoutUnknownHeads(data: Uint8Array, doc: A.Doc<unknown>): Uint8Array {
  const message = A.decodeSyncMessage(data);
  const known = (heads: string[]): string[] => heads.filter((head) => A.hasHeads(doc, [head]));
  const heads = known(message.heads);
  const have = message.have.map(({ lastSync, bloom }) => ({ lastSync: known(lastSync), bloom }));
  const isSame =
    heads.length === message.heads.length &&
    have.every(({ lastSync }, index) => lastSync.length === message.have[index]?.lastSync.length);
  return isSame ? data : A.encodeSyncMessage({ ...message, heads, have });
}

/**
 * What a viewer sends of what its Repo wants to say: everything but changes, which it may hold from another relay or
 * from before this one lost its disk. The relay would end the connection; left out, they are asked for by nobody.
 */
export class ReadOnly {
  readonly #last = new Map<string, Uint8Array>();

  /** A new connection: nothing has been said yet. */
  begin(): void {
    this.#last.clear();
  }

  /** Undefined: nothing that a viewer may say, or has not said already. */
  allowed(frame: RepoFrame): RepoFrame | undefined {
    if (frame[0] === 'ephemeral') return undefined;
    if (frame[0] === 'doc-unavailable') return frame;
    const [type, documentId, said] = frame;
    const message = A.decodeSyncMessage(said);
    const data = message.changes.length > 0 ? A.encodeSyncMessage({ ...message, changes: [] }) : said;
    // Where it has what the relay lacks they would answer each other without end, and say the same each time.
    const last = this.#last.get(documentId);
    if (last && Buffer.compare(last, data) === 0) return undefined;
    this.#last.set(documentId, data);
    return [type, documentId, data];
  }
}
