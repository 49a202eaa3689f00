/**
 * The platform cannot start. The message is one line that names the cause and the setting to change.
 * - `database-unreachable`, `database-unusable`: DATABASE_URL or the SQLite file;
 * - `database-in-use`: another platform process has the SQLite file;
 * - `schema-newer`: a newer version of the platform has written this database;
 * - `port-in-use`, `host-unusable`: where it listens.
 */
export class PlatformStartError extends Error {
  constructor(
    readonly code:
      | 'database-unreachable'
      | 'database-unusable'
      | 'database-in-use'
      | 'schema-newer'
      | 'port-in-use'
      | 'host-unusable',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'PlatformStartError';
  }
}

const STATUS = {
  'bad-request': 400,
  'missing-key': 400,
  unauthorized: 401,
  'not-found': 404,
  'no-such-chat': 404,
  'no-such-run': 404,
  'no-such-context': 404,
  'no-such-approval': 404,
  'method-not-allowed': 405,
  'approval-over': 409,
  'too-large': 413,
  'unknown-agent': 422,
  internal: 500,
  stopping: 503,
} as const;

export type RefusalCode = keyof typeof STATUS;

/** A request that is answered with a typed JSON error. The table above is the whole list of codes. */
export class Refusal extends Error {
  readonly status: number;

  constructor(
    readonly code: RefusalCode,
    message: string,
  ) {
    super(message);
    this.name = 'Refusal';
    this.status = STATUS[code];
  }
}
