import { crc32 } from 'node:zlib';

/** The first line of a journal; the number is the format's. */
export const HEADER = 'understudy-journal 1\n';

const LINE = /^([0-9a-f]{8}) (\d{1,10}) /;
const NEWLINE = 10;

/** One line: CRC-32 of the JSON, its length in bytes, the JSON (which holds no line break). */
export function encodeLine(json: string): Buffer {
  const body = Buffer.from(json);
  const sum = crc32(body).toString(16).padStart(8, '0');
  return Buffer.concat([Buffer.from(`${sum} ${body.length} `), body, Buffer.from('\n')]);
}

export type Line =
  | { state: 'good'; value: unknown; raw: Buffer }
  | { state: 'bad'; reason: string; raw: Buffer }
  /** The end of the file without a line break: a write that never finished. */
  | { state: 'torn'; raw: Buffer };

/** The lines of a journal from `start` on. */
export function* readLines(bytes: Buffer, start: number): Generator<Line> {
  for (let at = start; at < bytes.length;) {
    const end = bytes.indexOf(NEWLINE, at);
    if (end < 0) {
      yield { state: 'torn', raw: bytes.subarray(at) };
      return;
    }
    yield decodeLine(bytes.subarray(at, end + 1));
    at = end + 1;
  }
}

function decodeLine(raw: Buffer): Line {
  const head = LINE.exec(raw.toString('latin1', 0, 24));
  if (!head) return { state: 'bad', reason: 'no length and checksum', raw };
  const body = raw.subarray(head[0].length, -1);
  if (body.length !== Number(head[2])) return { state: 'bad', reason: 'wrong length', raw };
  if (crc32(body) !== Number.parseInt(head[1] ?? '', 16))
    return { state: 'bad', reason: 'wrong checksum', raw };
  try {
    return { state: 'good', value: JSON.parse(body.toString('utf8')) as unknown, raw };
  } catch (error) {
    if (error instanceof SyntaxError) return { state: 'bad', reason: 'not JSON', raw };
    throw error;
  }
}
