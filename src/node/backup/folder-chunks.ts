import type { StoredChunks } from '../../backup/stored-document.js';
import { isDocumentChunk } from '../../storage/chunk-key.js';
import { FolderSource } from '../../storage/folder-source.js';
import type { Keyring } from '../../storage/sealed-chunks.js';

/**
 * The documents of a folder, read without changing anything in it.
 *
 * @param faults is told of each chunk that cannot be used; it is left out.
 */
export function folderChunks(
  documentsDir: string,
  faults: (fault: string) => void,
  keys: Keyring = {},
): StoredChunks {
  const reader = new FolderSource(documentsDir, keys);
  return {
    async ids() {
      const keys = (await reader.keys([])).filter(isDocumentChunk);
      return [...new Set(keys.flatMap(([id]) => id ?? []))];
    },
    async chunks(id) {
      const found: Uint8Array[] = [];
      for (const key of (await reader.keys([id])).filter(isDocumentChunk)) {
        const look = await reader.look(key);
        if (look.state === 'good') found.push(look.bytes);
        else if (look.state === 'bad') faults(`${key.join('/')}: ${look.reason}`);
        else if (look.state === 'unreadable') faults(`${key.join('/')}: cannot be read`);
      }
      return found;
    },
  };
}
