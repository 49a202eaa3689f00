import { pino, type DestinationStream, type Logger } from 'pino';
import { PinoPretty } from 'pino-pretty';
import { debugFilter } from './debug-filter.js';
import type { Fields, Log } from './log.js';
import { Redactor } from './redact.js';

export interface LogOptions {
  /** `relay`, `replica`, `platform`, `up`: the field `role` of every line, and the name that DEBUG matches. */
  role: string;
  /** The value of the environment's DEBUG: `understudy:*` shows everything, `understudy:sync` one part. */
  debug?: string | undefined;
  /** For people rather than machines; the default is what standard output is. */
  pretty?: boolean;
  /** Where lines go; the default is standard output, written synchronously so that none is lost at an exit. */
  destination?: DestinationStream;
  redactor?: Redactor;
}

/**
 * JSON lines `{level, time, role, …fields, msg}`, or pretty ones on a terminal. A child made with a field
 * `part` is also known to DEBUG as `understudy:<part>`. Every line goes through the {@link Redactor}.
 */
export function createLog(options: LogOptions): Log {
  const redactor = options.redactor ?? new Redactor();
  const enabled = debugFilter(options.debug);
  const pretty = options.pretty ?? process.stdout.isTTY === true;
  const destination = options.destination ?? standardOutput(pretty);
  const root = pino(
    {
      base: { role: options.role },
      level: 'debug',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: (line) => redactor.text(line) },
    },
    destination,
  );
  return wrap(root, `understudy:${options.role}`, enabled, redactor);
}

function wrap(logger: Logger, name: string, enabled: (name: string) => boolean, redactor: Redactor): Log {
  const debugging = enabled(name);
  const clean = (fields: Fields): Fields => redactor.value(fields, debugging) as Fields;
  return {
    debug: (fields, message) => debugging && logger.debug(clean(fields), message),
    info: (fields, message) => logger.info(clean(fields), message),
    warn: (fields, message) => logger.warn(clean(fields), message),
    error: (fields, message) => logger.error(clean(fields), message),
    child(fields) {
      const part = typeof fields['part'] === 'string' ? `understudy:${fields['part']}` : name;
      return wrap(logger.child(clean(fields)), part, enabled, redactor);
    },
  };
}

function standardOutput(pretty: boolean): DestinationStream {
  if (!pretty) return pino.destination({ fd: 1, sync: true });
  return PinoPretty({
    colorize: process.stdout.hasColors?.() ?? false,
    translateTime: 'SYS:HH:MM:ss.l',
    sync: true,
  });
}
