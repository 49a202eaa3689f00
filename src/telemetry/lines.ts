import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** Calls `onLine` for each whole line; after one longer than `limit` characters `onTooLong`, and nothing more. */
export function readLines(
  stream: Readable,
  limit: number,
  onLine: (line: string) => void,
  onTooLong: () => void,
): void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const onData = (chunk: Buffer): void => {
    rest += decoder.write(chunk);
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '' && line.length <= limit) onLine(line);
    if (rest.length <= limit && lines.every((line) => line.length <= limit)) return;
    stream.off('data', onData);
    onTooLong();
  };
  stream.on('data', onData);
}
