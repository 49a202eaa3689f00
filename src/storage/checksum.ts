import { createHash } from 'node:crypto';
import type { StorageKey } from '@automerge/automerge-repo';
import { z } from 'zod';

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Upstream names each incremental chunk by the SHA-256 of its bytes: the name is the checksum. */
export function nameIsSum(key: StorageKey): boolean {
  return key.length === 3 && key[1] === 'incremental' && /^[0-9a-f]{64}$/.test(key[2] ?? '');
}

const Sidecar = z.object({
  /** Every content that the file may rightly have: the one being written, and the one it replaces. */
  sha256: z.array(z.string().regex(/^[0-9a-f]{64}$/)).min(1),
  key: z.array(z.string()),
});
export type Sidecar = z.infer<typeof Sidecar>;

/**
 * A sidecar is on disk before its file is renamed into place and names the old content beside the new, so
 * that a kill between the two leaves a good file good. It carries its own sum: a rotten sidecar must not
 * condemn a good file, so it counts as absent.
 */
export function encodeSidecar(sidecar: Sidecar): Uint8Array {
  const body = JSON.stringify(sidecar);
  return Buffer.from(`${sha256(Buffer.from(body))} ${body}\n`);
}

/** The sidecar, or undefined when its bytes are not what was once written. */
export function decodeSidecar(bytes: Uint8Array): Sidecar | undefined {
  const text = Buffer.from(bytes).toString('utf8');
  const body = text.slice(65, -1);
  if (text.slice(0, 65) !== `${sha256(Buffer.from(body))} ` || !text.endsWith('\n')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  const parsed = Sidecar.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}
