import { createHash } from 'node:crypto';

/** Well under the 255 bytes that file systems allow, with room for an ending of the caller's. */
const LONGEST = 180;
const LITERAL = /[a-z0-9_-]/;
/** Names that Windows keeps for devices, also before an ending. */
const RESERVED = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)/;

/**
 * Any string as one file name. No two ids share a name, also where the file system ignores case or folds
 * Unicode; no name is empty, hidden, a path, `.`, `..` or longer than 180 bytes.
 *
 * Lower-case letters, digits, `_`, `-` and inner dots stand for themselves; everything else becomes `%` and
 * two hex digits for each UTF-8 byte, half a surrogate pair `%u` and four, the empty id `%`. An id that would
 * be too long becomes `%h` and its SHA-256.
 */
export function encodeFileName(id: string): string {
  const name = escape(id);
  if (name.length <= LONGEST) return name;
  return `%h${createHash('sha256').update(Buffer.from(id, 'utf16le')).digest('hex')}`;
}

/** The id of a name that `encodeFileName` made; undefined for any other name, and for one that is a hash. */
export function decodeFileName(name: string): string | undefined {
  if (name === '%') return '';
  let id = '';
  for (const part of name.matchAll(/%u([0-9a-f]{4})|((?:%[0-9a-f]{2})+)|([^%]+)|%/g)) {
    const [, surrogate, bytes, literal] = part;
    if (surrogate !== undefined) id += String.fromCharCode(Number.parseInt(surrogate, 16));
    else if (bytes !== undefined) id += Buffer.from(bytes.replaceAll('%', ''), 'hex').toString('utf8');
    else if (literal !== undefined) id += literal;
    else return undefined;
  }
  // One id has one name: what decodes but is not the name of its id was made by something else.
  return encodeFileName(id) === name ? id : undefined;
}

function escape(id: string): string {
  if (id === '') return '%';
  const points = Array.from(id);
  const last = points.length - 1;
  const name = points
    .map((point, at) =>
      LITERAL.test(point) || (point === '.' && at > 0 && at < last) ? point : escapePoint(point),
    )
    .join('');
  if (!RESERVED.test(name)) return name;
  return escapePoint(name.charAt(0)) + name.slice(1);
}

function escapePoint(point: string): string {
  const code = point.charCodeAt(0);
  if (point.length === 1 && code >= 0xd800 && code <= 0xdfff) return `%u${code.toString(16)}`;
  return Buffer.from(point, 'utf8').toString('hex').replace(/../g, '%$&');
}
