import { next as A } from '@automerge/automerge';
import {
  isValidDocumentId,
  type DocumentId,
  type Message,
  type PeerId,
  type SessionId,
} from '@automerge/automerge-repo';
import type { Sender } from './channel.js';
import { decodeCbor } from './codec.js';
import type { RepoFrame } from './frame.js';
import { isBounded } from './sync-message-bounds.js';
import { limitsFor, unfoldedRows } from './unfolded-size.js';

/** The peer id of a replica's Repo: new at every start, so that no sync state outlives the memory it describes. */
export function peerIdOf(sender: Sender): PeerId {
  return `${sender.replica}/${sender.incarnation}` as PeerId;
}

/**
 * A message as the Repo may see it: its document id is one, its sync message can be decoded, its payload is
 * CBOR. A Repo given anything else keeps it queued and throws again at every later message of the document.
 */
export interface CheckedMessage {
  type: RepoFrame[0];
  documentId: DocumentId;
  /** What it costs to hold and to deal with. */
  bytes: number;
  /** The sender of a sync message or request has changes of this document. */
  offersChanges: boolean;
  /** It changes the document, or could carry what does. */
  writes: boolean;
  /** Of a sync message or request. */
  data?: Uint8Array;
  /** The message for the Repo, with the connection's ends filled in, and `instead` of its own data. */
  between(from: PeerId, to: PeerId, instead?: Uint8Array): Message;
}

/** What an operation costs beside its bytes: a message that unfolds far is dealt with before more is read. */
const perRow = 64;

/** Undefined when the frame must not reach a Repo. */
export function checkRepoFrame(frame: RepoFrame): CheckedMessage | undefined {
  const documentId = frame[1];
  if (!isKnownGood(documentId)) return undefined;
  const ends = (from: PeerId, to: PeerId) => ({ documentId, senderId: from, targetId: to });
  switch (frame[0]) {
    case 'sync':
    case 'request': {
      const [type, , data] = frame;
      const message = decoded(data);
      if (!message || !isBounded(message)) return undefined;
      const rows = unfoldedRows(message.changes, limitsFor(data.length));
      if (rows === undefined) return undefined;
      const between = (from: PeerId, to: PeerId, instead = data): Message => ({
        type,
        ...ends(from, to),
        data: instead,
      });
      const [offersChanges, writes] = [message.heads.length > 0, message.changes.length > 0];
      const bytes = data.length + rows * perRow;
      return { type, documentId, bytes, offersChanges, writes, data, between };
    }
    case 'doc-unavailable': {
      const between = (from: PeerId, to: PeerId): Message => ({ type: 'doc-unavailable', ...ends(from, to) });
      return { type: frame[0], documentId, bytes: 0, offersChanges: false, writes: false, between };
    }
    case 'ephemeral': {
      const [type, , author, sessionId, count, data] = frame;
      if (!isCbor(data)) return undefined;
      const between = (_from: PeerId, to: PeerId): Message =>
        ({
          type,
          documentId,
          senderId: author as PeerId,
          targetId: to,
          sessionId: sessionId as SessionId,
          count,
          data,
        }) as Message;
      return { type, documentId, bytes: data.length, offersChanges: false, writes: true, between };
    }
  }
}

/** The frame for a message that a Repo wants sent; undefined for kinds that this wire does not carry. */
export function repoFrame(message: Message): RepoFrame | undefined {
  const { type, documentId, data } = message;
  if (!documentId) return undefined;
  if (type === 'doc-unavailable') return [type, documentId];
  if (!data) return undefined;
  if (type === 'sync' || type === 'request') return [type, documentId, data];
  if (type === 'ephemeral' && 'count' in message && 'sessionId' in message) {
    const { senderId, sessionId, count } = message as Message & { sessionId: string; count: number };
    return [type, documentId, senderId, sessionId, count, data];
  }
  return undefined;
}

function decoded(data: Uint8Array): ReturnType<typeof A.decodeSyncMessage> | undefined {
  try {
    return A.decodeSyncMessage(data);
  } catch {
    return undefined;
  }
}

function isCbor(data: Uint8Array): boolean {
  try {
    decodeCbor(data);
    return true;
  } catch {
    return false;
  }
}

const knownGoodLimit = 10_000;
const knownGood = new Set<string>();

/** The checksum of a document id costs two hashes, so ids that passed are remembered. */
function isKnownGood(documentId: string): documentId is DocumentId {
  if (knownGood.has(documentId)) return true;
  if (!isValidDocumentId(documentId)) return false;
  if (knownGood.size >= knownGoodLimit) knownGood.clear();
  knownGood.add(documentId);
  return true;
}
