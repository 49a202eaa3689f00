import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { readIfThere, writeAtomically } from '../../storage/atomic-write.js';
import { nodeFiles } from '../../storage/file-layer.js';
import { ensureFolder } from '../../storage/lock.js';

const random = () => randomBytes(32).toString('base64url');

/**
 * The files that docker-compose.yml gives to its services as `NAME_FILE`, and how each is made, in this order. A
 * recipe reads those before it.
 */
const recipes: Record<string, (made: ReadonlyMap<string, string>) => string> = {
  'cluster-id': random,
  'relay-token': random,
  'platform-token': random,
  'postgres-password': random,
  'database-url': (made) =>
    `postgresql://understudy:${made.get('postgres-password')}@postgres:5432/understudy`,
  'synapse-registration': random,
  'synapse-macaroon': random,
  'synapse-form': random,
  'bot-password': random,
  'alice-password': random,
  'bob-password': random,
};

/**
 * Makes the secrets that `dir` does not hold yet, each in a file of its own (mode 0600), on disk when this resolves.
 * One that is there is never touched. Resolves to the names of those made.
 * Rejects with `FolderError` where `dir` cannot be written, and with errors of the file system.
 */
export async function makeSecrets(dir: string): Promise<string[]> {
  await ensureFolder(dir);
  const all = new Map<string, string>();
  const made: string[] = [];
  for (const [name, recipe] of Object.entries(recipes)) {
    const path = join(dir, name);
    const kept = await readIfThere(nodeFiles, path);
    if (kept) {
      all.set(name, Buffer.from(kept).toString('utf8'));
      continue;
    }
    const secret = recipe(all);
    await writeAtomically(nodeFiles, path, Buffer.from(secret));
    all.set(name, secret);
    made.push(name);
  }
  return made;
}
