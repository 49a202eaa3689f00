import { dirname } from 'node:path';
import type { z } from 'zod';
import { makeFolderDurably, readIfThere, writeAtomically } from './atomic-write.js';
import { nodeFiles } from './file-layer.js';
import type { FileLayer } from './file-layer.js';

/** The file is there, but does not hold what it should; it is left alone. */
export class JsonFileError extends Error {
  readonly code = 'malformed';

  constructor(path: string, reason: string) {
    super(`${path} does not hold what it should (${reason}); restore it, or remove it to begin anew`);
    this.name = 'JsonFileError';
  }
}

/**
 * A small value kept in a file, or undefined when there is no such file.
 *
 * @throws JsonFileError when it is not JSON or not of the schema; file system errors as they are.
 */
export async function readJson<T>(
  path: string,
  schema: z.ZodType<T>,
  files: FileLayer = nodeFiles,
): Promise<T | undefined> {
  const bytes = await readIfThere(files, path);
  if (bytes === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw new JsonFileError(path, 'not JSON');
    throw error;
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    // Paths and codes only: the value itself may be a secret.
    const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'value'}: ${issue.code}`);
    throw new JsonFileError(path, faults.join(', '));
  }
  return parsed.data;
}

/** Keeps a value: mode 0600, old or new after a kill and never a part, on disk when it resolves. */
export async function writeJson(path: string, value: unknown, files: FileLayer = nodeFiles): Promise<void> {
  await makeFolderDurably(files, dirname(path));
  await writeAtomically(files, path, Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`));
}
