import { existsSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import * as Automerge from '@automerge/automerge';
import { Repo } from '@automerge/automerge-repo';
import type { DocHandle, DocumentId } from '@automerge/automerge-repo';
import { DurableStorage } from '../../../src/storage/durable.js';
import { silentLog } from '../../../src/telemetry/log.js';

/** Changes two documents for ever and prints `<which> <n>` once change n is flushed. */
interface Counted {
  filler: Automerge.ImmutableString;
  seen: Record<string, number>;
}

const [dir = '', big, small] = process.argv.slice(2);
const say = (line: string) => writeSync(1, `${line}\n`);

function firstBytes(filler: string): Uint8Array {
  const empty = Automerge.init<Counted>({ actor: '00' });
  const first = Automerge.change(empty, { time: 0 }, (doc) => {
    doc.filler = new Automerge.ImmutableString(filler);
    doc.seen = {};
  });
  return Automerge.save(first);
}

say('booted');
const storage = new DurableStorage({ dir, log: silentLog });
const repo = new Repo({ storage, saveDebounceRate: 5 });

function stored(id: DocumentId): boolean {
  const folder = join(dir, id.slice(0, 2), id.slice(2), 'snapshot');
  return existsSync(folder) && readdirSync(folder).length > 0;
}

async function open(id: DocumentId, filler: string): Promise<DocHandle<Counted>> {
  if (stored(id)) return await repo.find<Counted>(id);
  const handle = repo.import<Counted>(firstBytes(filler), { docId: id });
  await repo.flush([id]);
  return handle;
}

async function countUp(name: string, handle: DocHandle<Counted>): Promise<never> {
  for (let n = Object.keys(handle.doc().seen).length + 1; ; n += 1) {
    handle.change((doc) => {
      doc.seen[String(n)] = n;
    });
    await repo.flush([handle.documentId]);
    say(`${name} ${n}`);
  }
}

// Above 1 KiB upstream saves increments, below it a new snapshot each time: both ways are killed.
const noise = Array.from({ length: 400 }, (_, i) => ((i * 7919) % 100_003).toString(36)).join(' ');
await Promise.all([
  open(big as DocumentId, noise).then((handle) => countUp('big', handle)),
  open(small as DocumentId, '').then((handle) => countUp('small', handle)),
]);
