import { dirname } from 'node:path';
import type { z } from 'zod';
import type { Log } from '../telemetry/log.js';
import { systemClock } from '../time/clock.js';
import type { Clock } from '../time/clock.js';
import { makeFolderDurably, readIfThere, writeAtomically } from './atomic-write.js';
import { sha256 } from './checksum.js';
import { nodeFiles } from './file-layer.js';
import type { FileLayer } from './file-layer.js';
import { isFolderInPlace, putAside } from './put-aside.js';

/** A bit that flips in a name or a number leaves good JSON, which says something else. */
const CHECKSUM = 'checksum';
const NOT_WRITTEN = `not what was written; who changes it by hand leaves "${CHECKSUM}" out`;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const sumOf = (value: Record<string, unknown>): string => sha256(Buffer.from(JSON.stringify(value)));

/** The file is there, but does not hold what it should; it is left alone. */
export class JsonFileError extends Error {
  readonly code = 'malformed';

  constructor(
    path: string,
    readonly reason: string,
  ) {
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
  if (isObject(value) && Object.hasOwn(value, CHECKSUM)) {
    const { [CHECKSUM]: sum, ...rest } = value;
    if (sum !== sumOf(rest)) throw new JsonFileError(path, NOT_WRITTEN);
    value = rest;
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    // Paths and codes only: the value itself may be a secret.
    const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'value'}: ${issue.code}`);
    throw new JsonFileError(path, faults.join(', '));
  }
  return parsed.data;
}

/**
 * As {@link readJson}, but a file that is damaged keeps nobody from starting: it is put aside, the log says where it is
 * and what is `lost` with it, and the value is begun anew. One that may not be read stands as it is, and throws.
 */
export async function readJsonOrAside<T>(
  path: string,
  schema: z.ZodType<T>,
  { lost, log, clock = systemClock, files = nodeFiles, onDamage }: AsideOptions,
): Promise<T | undefined> {
  try {
    return await readJson(path, schema, files);
  } catch (error) {
    if (!(error instanceof JsonFileError) && !isFolderInPlace(error)) throw error;
    const reason = error instanceof JsonFileError ? error.reason : 'a folder stands in its place';
    const aside = await putAside(files, path, clock);
    log.error({ file: path, aside, reason, lost }, 'a file of this folder is damaged: put aside, begun anew');
    onDamage?.();
    return undefined;
  }
}

export interface AsideOptions {
  /** In words, for the log. */
  lost: string;
  log: Log;
  clock?: Clock;
  files?: FileLayer;
  onDamage?: () => void;
}

/** Keeps a value, an object with its checksum: mode 0600, old or new after a kill and never a part, on disk when it resolves. */
export async function writeJson(path: string, value: unknown, files: FileLayer = nodeFiles): Promise<void> {
  await makeFolderDurably(files, dirname(path));
  const kept = isObject(value) ? { ...value, [CHECKSUM]: sumOf(value) } : value;
  await writeAtomically(files, path, Buffer.from(`${JSON.stringify(kept, undefined, 2)}\n`));
}
