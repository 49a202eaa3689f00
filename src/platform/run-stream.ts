import type { Log } from '../telemetry/log.js';
import { PlatformError, type RunEvent } from './client.js';
import { readLines } from './lines.js';
import { runEventLine, unknownEventLine } from './wire.js';

const LONGEST_LINE = 8_000_000;

/**
 * Reads a run's stream up to its `final` or `error`. A stream that ends before, or is not a platform's, throws
 * {@link PlatformError} `unreachable`: the run itself may well go on, so ask again under the same key.
 */
export async function* readRunStream(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void,
  log: Log,
): AsyncGenerator<RunEvent, void> {
  for await (const line of readLines(body, LONGEST_LINE, onBytes)) {
    if (line === '') continue;
    const event = parseEvent(line, log);
    if (!event) continue;
    yield event;
    if (event.type === 'final' || event.type === 'error') return;
  }
  throw new PlatformError('unreachable', 'the stream was cut before its end');
}

function parseEvent(line: string, log: Log): RunEvent | undefined {
  let content: unknown;
  try {
    content = JSON.parse(line);
  } catch (error) {
    throw new PlatformError('unreachable', `the stream broke: ${(error as Error).name}`);
  }
  const known = runEventLine.safeParse(content);
  if (known.success) return known.data;
  const unknown = unknownEventLine.safeParse(content);
  const kinds = runEventLine.options.map((option) => option.shape.type.value as string);
  if (!unknown.success || kinds.includes(unknown.data.type)) {
    throw new PlatformError('unreachable', 'the stream broke: not an event');
  }
  log.warn({ type: unknown.data.type.slice(0, 40) }, 'skipped a run event of an unknown kind');
  return undefined;
}
