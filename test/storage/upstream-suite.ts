import type { StorageAdapterInterface } from '@automerge/automerge-repo';
import { runStorageAdapterTests } from '@automerge/automerge-repo/helpers/tests/storage-adapter-tests.js';

/** The adapter suite expects values of one range in the order they were saved; the interface promises none. */
function inOrderOfSaving(storage: StorageAdapterInterface): StorageAdapterInterface {
  const saved: string[] = [];
  const at = (key: string[]) => saved.indexOf(key.join('/'));
  return {
    load: (key) => storage.load(key),
    remove: (key) => storage.remove(key),
    removeRange: (prefix) => storage.removeRange(prefix),
    loadRange: async (prefix) => (await storage.loadRange(prefix)).sort((a, b) => at(a.key) - at(b.key)),
    save: (key, data) => {
      saved.push(key.join('/'));
      return storage.save(key, data);
    },
  };
}

/** Upstream's suite saves bytes under document keys that no Automerge ever wrote. */
const noDocuments = (storage: StorageAdapterInterface): StorageAdapterInterface => {
  const there = (key: string[]) => key.map((part) => (part === 'snapshot' ? 'value' : part));
  const back = (key: string[]) => key.map((part) => (part === 'value' ? 'snapshot' : part));
  return {
    load: (key) => storage.load(there(key)),
    save: (key, data) => storage.save(there(key), data),
    remove: (key) => storage.remove(there(key)),
    removeRange: (prefix) => storage.removeRange(there(prefix)),
    loadRange: async (prefix) =>
      (await storage.loadRange(there(prefix))).map(({ key, data }) => ({ key: back(key), data })),
  };
};

/** automerge-repo's own acceptance suite, on storage that verifies. */
export function upstreamSuite(
  title: string,
  open: () => Promise<{ storage: StorageAdapterInterface; close: () => Promise<void> }>,
): void {
  runStorageAdapterTests(async () => {
    const { storage, close } = await open();
    return { adapter: inOrderOfSaving(noDocuments(storage)), teardown: () => void close() };
  }, title);
}
