/** Fields of one log line. Never a token, never message text (at any level below `debug` of the platform). */
export type Fields = Record<string, unknown>;

/** The narrow logger every module takes; pino satisfies it. */
export interface Log {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
  child(fields: Fields): Log;
}

export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
};
