import type { DocumentId, Message, PeerId, Repo } from '@automerge/automerge-repo';

/**
 * Hands over what the Repo would print to standard output: a sync message that could be decoded but not
 * applied. The document stays whole; the peer that sent it should not be listened to any longer.
 */
export function onRefusedMessage(repo: Repo, refused: (sender: PeerId, error: unknown) => void): void {
  const synchronizer = repo.synchronizer;
  const receive = synchronizer.receiveMessage.bind(synchronizer);
  synchronizer.receiveMessage = async (message: Parameters<typeof receive>[0]): Promise<void> => {
    try {
      await receive(message);
    } catch (error) {
      refused((message as Message).senderId, error);
    }
  };
}

/**
 * Hands over what nobody could catch, and what would end the process: the Repo waits a minute for a document that a
 * peer said it has, and then rejects a promise of its own. The peer ended before it sent anything; whoever brings
 * the document later is listened to as ever.
 */
export function onUndeliveredDocument(
  repo: Repo,
  undelivered: (documentId: DocumentId, error: unknown) => void,
): void {
  const { synchronizer } = repo;
  type Synchronizers = typeof synchronizer.docSynchronizers;
  synchronizer.docSynchronizers = new Proxy<Synchronizers>(synchronizer.docSynchronizers, {
    set(target, key, one: Synchronizers[DocumentId]) {
      const documentId = key as DocumentId;
      const begin = one.beginSync.bind(one);
      one.beginSync = (peers) => begin(peers).catch((error: unknown) => undelivered(documentId, error));
      target[documentId] = one;
      return true;
    },
  });
}
