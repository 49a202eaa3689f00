/**
 * - `storage-unreachable`: the server does not answer, or refuses us.
 * - `storage-in-use`: another process works on the same tables.
 * - `storage-newer`: the tables were made by a newer version, and are left alone.
 * - `storage-unusable`: the server answers, and what we need of it fails.
 */
export class PostgresStorageError extends Error {
  constructor(
    readonly code: 'storage-unreachable' | 'storage-in-use' | 'storage-newer' | 'storage-unusable',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'PostgresStorageError';
  }
}

/** The server's own word on a statement, after which the session goes on; anything else is the connection's end. */
export function isRefusedStatement(error: unknown): boolean {
  return error instanceof Error && 'severity' in error && error.severity === 'ERROR';
}

/** Words for an error of connecting; one that tried several addresses has its words inside. */
export function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ');
  return error instanceof Error ? error.message : String(error);
}
