import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';

const secretsFile = z.record(z.string(), z.string());

/** A fresh secret of 24 random bytes. */
export const newSecret = (): string => randomBytes(24).toString('base64url');

/**
 * The secrets of these names, kept in `file` (JSON, mode 0600): those that are there are read, those that are missing
 * are made and stored before this resolves, so that a name has one secret for ever.
 */
export async function keptSecrets<Name extends string>(
  file: string,
  names: readonly Name[],
): Promise<Record<Name, string>> {
  const kept = await readKept(file);
  const missing = names.filter((name) => kept[name] === undefined);
  if (missing.length > 0) {
    for (const name of missing) kept[name] = newSecret();
    await replacePrivately(file, JSON.stringify(kept, null, 2));
  }
  return Object.fromEntries(names.map((name) => [name, kept[name]])) as Record<Name, string>;
}

async function readKept(file: string): Promise<Record<string, string>> {
  try {
    return secretsFile.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

/** Writes a file that only its owner may read, whole or not at all. */
export async function replacePrivately(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}.tmp`;
  const handle = await open(draft, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
}
