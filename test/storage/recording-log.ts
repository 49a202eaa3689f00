import type { Fields, Log } from '../../src/telemetry/log.js';

export interface LoggedLine extends Fields {
  level: 'debug' | 'info' | 'warn' | 'error';
  message: string;
}

/** A log that keeps its lines for the test to read. */
export function recordingLog(): Log & { lines: LoggedLine[] } {
  const lines: LoggedLine[] = [];
  const at = (level: LoggedLine['level']) => (fields: Fields, message: string) => {
    lines.push({ ...fields, level, message });
  };
  const log = {
    lines,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => log,
  };
  return log;
}
