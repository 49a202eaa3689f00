import type { Message, PeerId, Repo } from '@automerge/automerge-repo';

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
