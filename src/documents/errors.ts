/**
 * - `newer-schema`: the document was written by a newer version of this software: read-only here.
 * - `bad-key`: our own caller gave a kind that is none, or a key that is none of its kind.
 * - `invalid-write`: our own caller gave a field or value that the tables do not allow.
 * - `damaged`: a map of the canonical first bytes is no longer a map (only a broken or hostile peer does that).
 */
export class DocumentError extends Error {
  constructor(
    readonly code: 'newer-schema' | 'bad-key' | 'invalid-write' | 'damaged',
    message: string,
  ) {
    super(message);
    this.name = 'DocumentError';
  }
}

/** The document is one that this software reads and does not write. */
export const isNewerSchema = (error: unknown): boolean =>
  error instanceof DocumentError && error.code === 'newer-schema';

/** What a peer's bytes got wrong; counted by whoever reads, never thrown. */
export type Malformed = 'value' | 'json' | 'size' | 'field' | 'map';
export type CountMalformed = (what: Malformed) => void;
