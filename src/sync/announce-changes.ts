import type { DocHandle, DocumentId, Repo } from '@automerge/automerge-repo';

/**
 * Makes a Repo pass on every change of its documents. It does so on the handle's `change` event, which it emits
 * only for changes that give patches; a third concurrent value of a key that does not win gives none, and would
 * stay here until the document's next change.
 */
export function passOnEveryChange(repo: Repo): void {
  const followed = new WeakSet<DocHandle<unknown>>();
  const synchronizer = repo.synchronizer;
  const receive = synchronizer.receiveMessage.bind(synchronizer);
  synchronizer.receiveMessage = async (message: Parameters<typeof receive>[0]): Promise<void> => {
    await receive(message);
    const handle = repo.handles[(message as { documentId: DocumentId }).documentId];
    if (handle === undefined || followed.has(handle)) return;
    followed.add(handle);
    follow(handle);
    // What this first message brought came before anyone looked.
    if (handle.isReady()) passOn(handle);
  };
}

function follow(handle: DocHandle<unknown>): void {
  let passedOn = true;
  handle.on('change', () => {
    passedOn = true;
  });
  handle.on('heads-changed', () => {
    passedOn = false;
    queueMicrotask(() => {
      if (passedOn || !handle.isReady()) return;
      passOn(handle);
    });
  });
}

function passOn(handle: DocHandle<unknown>): void {
  const doc = handle.doc();
  handle.emit('change', {
    handle,
    doc,
    patches: [],
    patchInfo: { before: doc, after: doc, source: 'change' },
  });
}
