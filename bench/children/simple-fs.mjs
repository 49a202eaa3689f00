/** The storage that matrix-bot-sdk ships, through its own API. */
// oxlint-disable-next-line no-restricted-imports -- it is the peer that is measured, not a part of the product
import { SimpleFsStorageProvider } from 'matrix-bot-sdk';
import { serve, sharedNow } from './serve.mjs';

let storage;

serve({
  open({ file }) {
    const start = sharedNow();
    storage = new SimpleFsStorageProvider(file);
    return { ms: sharedNow() - start };
  },
  change({ keys, values, forMs, count }) {
    const start = sharedNow();
    let done = 0;
    for (; done < count && sharedNow() - start < forMs; done += 1) {
      storage.storeValue(keys[done % keys.length], values[done % values.length]);
    }
    return { count: done, ms: sharedNow() - start };
  },
  read({ key }) {
    return storage.readValue(key);
  },
});
