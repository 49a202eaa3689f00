import { fstatSync, openSync, closeSync, readFileSync, statSync, type Stats } from 'node:fs';
import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';
import type { Cancel, Clock } from '../time/clock.js';
import { SyncError } from './errors.js';
import { tokenRoles, type RelayToken } from './relay-tokens.js';

const maxBytes = 1024 * 1024;
const lookMs = 1_000;

const instant = z.iso
  .datetime({ offset: true, error: 'must be a time as 2026-01-31T12:00:00Z' })
  .transform((text) => Date.parse(text));

const line = z.strictObject({
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, 'must be 64 hex digits')
    .transform((hex) => hex.toLowerCase()),
  role: z.enum(tokenRoles, `must be ${tokenRoles.join(', ')}`),
  /** A time; absent or null: never. */
  expires: instant.nullish(),
  /** For the log. */
  name: z
    .string()
    .regex(/^[\w .:@-]{1,64}$/, 'must be 1–64 letters, digits, spaces or . : @ - _')
    .optional(),
});

const list = z.array(line).superRefine((lines, context) => {
  const seen = new Set<string>();
  for (const [index, { sha256 }] of lines.entries()) {
    if (seen.has(sha256)) context.addIssue({ code: 'custom', message: 'stands there twice', path: [index] });
    seen.add(sha256);
  }
});

/** Tokens as their file lists them, and what is not well about the file though it is used. */
export interface ListedTokens {
  tokens: RelayToken[];
  warning?: string;
}

/**
 * The tokens that a file (JSON or YAML) lists as `{sha256, role, expires, name}`.
 *
 * @throws SyncError `bad-tokens-file`: it cannot be read, is not such a list, or somebody else may change it.
 */
export function readTokensFile(path: string): ListedTokens {
  const { text, stat } = opened(path);
  const warning = checkMode(path, stat);
  const tokens = parsed(path, text).map(({ expires, name, ...token }) => ({
    ...token,
    ...(typeof expires === 'number' && { expires }),
    ...(name !== undefined && { name }),
  }));
  return { tokens, ...(warning !== undefined && { warning }) };
}

function opened(path: string): { text: string; stat: Stats } {
  try {
    const file = openSync(path, 'r');
    try {
      // Of the very file that is read: the name may stand for another one a moment later.
      const stat = fstatSync(file);
      if (!stat.isFile() || stat.size > maxBytes) throw wrong(path, 'is no file of reasonable size');
      return { text: readFileSync(file, 'utf8'), stat };
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof SyncError) throw error;
    throw wrong(path, `cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
  }
}

/** Who may write the list may connect as he likes; who may read it learns hashes, and guesses weak tokens by them. */
function checkMode(path: string, stat: Stats): string | undefined {
  const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
  const own = process.getuid?.() ?? stat.uid;
  if (stat.uid !== own && stat.uid !== 0) {
    throw wrong(
      path,
      `belongs to user ${stat.uid}, who could add tokens: make it this process's own, or root's`,
    );
  }
  if ((stat.mode & 0o022) !== 0) {
    throw wrong(path, `may be changed by others (mode ${mode}), who could add tokens: chmod 600`);
  }
  if ((stat.mode & 0o044) === 0) return undefined;
  return `${path} may be read by others (mode ${mode}): it holds no tokens, but names their roles, and a weak token can be guessed from its hash; chmod 600`;
}

function parsed(path: string, text: string): z.infer<typeof list> {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    const at = error instanceof YAMLParseError ? error.linePos?.[0].line : undefined;
    throw wrong(path, `is neither JSON nor YAML${at === undefined ? '' : `, at line ${at}`}`, error);
  }
  const result = list.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  // Only where and which field: a token pasted into the list is not repeated in a log.
  const [index, field] = issue?.path ?? [];
  if (typeof index !== 'number') throw wrong(path, 'is no list of {sha256, role, expires}');
  const what = issue?.code === 'unrecognized_keys' ? 'has a field that is not known' : issue?.message;
  throw wrong(
    path,
    `token ${index + 1}: ${field === undefined ? '' : `${String(field)} `}${what}`,
    result.error,
  );
}

function wrong(path: string, what: string, cause?: unknown): SyncError {
  return new SyncError('bad-tokens-file', `UNDERSTUDY_RELAY_TOKENS_FILE: ${path} ${what}.`, { cause });
}

/**
 * Calls `changed` some seconds after the file has become another one, and not while it is still being written: it
 * must look the same twice. By looking and not by events, which do not cross the links that secrets are mounted by.
 */
export function watchFile(path: string, clock: Clock, changed: () => void): Cancel {
  let current = signature(path);
  let seen = current;
  return clock.every(lookMs, () => {
    const now = signature(path);
    if (now !== current && now === seen) {
      current = now;
      changed();
    }
    seen = now;
  });
}

function signature(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return [ino, size, mtimeMs, ctimeMs].join();
  } catch (error) {
    // Gone, or out of reach: that, too, is a change.
    return (error as NodeJS.ErrnoException).code ?? 'unreadable';
  }
}
