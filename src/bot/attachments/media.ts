import type { MediaAddress, RoomEvent } from '../../matrix/homeserver.js';
import { LARGEST_ATTACHMENT, LONGEST_NAME, LONGEST_TYPE } from '../../platform/attachments.js';

/** A file that a person sent into a room; its bytes are at the homeserver. */
export interface Media {
  /** The event that brought it. */
  event: string;
  /** origin_server_ts, ms. */
  ts: number;
  name: string;
  mimeType: string;
  /** Bytes, as the sender says; nobody has counted them. */
  size: number;
  address: MediaAddress;
}

/** Why a file is not taken, whoever sent it and whatever else came. */
export type Fault = 'encrypted' | 'too-large' | 'no-address';

export interface MediaMessage {
  /** What the person says with it: the message is a prompt, or a command, by itself. */
  caption?: string;
  file: Media | { event: string; name: string; fault: Fault };
}

const KINDS = new Set(['m.image', 'm.file', 'm.audio', 'm.video']);

/** Reads a message that carries a file; undefined where it is none. Pure; what it says is the sender's word. */
export function readMedia({
  type,
  content,
  event_id,
  origin_server_ts,
}: RoomEvent): MediaMessage | undefined {
  const { msgtype, body, filename, url, file, info } = content;
  if (type !== 'm.room.message' || typeof msgtype !== 'string' || !KINDS.has(msgtype)) return undefined;
  if (typeof body !== 'string') return undefined;
  // Matrix 1.10: with a `filename`, a `body` that says something else is a caption.
  const isCaptioned = typeof filename === 'string' && filename !== body && body.trim() !== '';
  const caption = isCaptioned ? { caption: body } : {};
  const name = nameOf(typeof filename === 'string' ? filename : body);
  const said = isRecord(info) ? info : {};
  const size = sizeOf(said['size']);
  const refused = (fault: Fault): MediaMessage => ({ ...caption, file: { event: event_id, name, fault } });
  if (isRecord(file)) return refused('encrypted');
  const address = readAddress(url);
  if (address === undefined) return refused('no-address');
  if (size > LARGEST_ATTACHMENT) return refused('too-large');
  const mimeType = typeOf(said['mimetype']);
  return { ...caption, file: { event: event_id, ts: origin_server_ts, name, mimeType, size, address } };
}

/** Both go into the path of a request that carries our token, so each is what the specification allows and no more. */
export function readAddress(url: unknown): MediaAddress | undefined {
  const found =
    typeof url === 'string'
      ? /^mxc:\/\/([A-Za-z0-9[][A-Za-z0-9.:[\]-]{0,254})\/([A-Za-z0-9_-]{1,255})$/.exec(url)
      : null;
  return found?.[1] !== undefined && found[2] !== undefined
    ? { server: found[1], mediaId: found[2] }
    : undefined;
}

/** One line of text, as it may stand in a message: no control characters, nothing that turns the line around. */
function nameOf(name: string): string {
  const line = name.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return (
    Array.from(line)
      .slice(0, LONGEST_NAME / 2)
      .join('') || 'file'
  );
}

const typeOf = (said: unknown): string =>
  typeof said === 'string' && said.length <= LONGEST_TYPE && /^[\w.+-]+\/[\w.+-]+$/.test(said)
    ? said.toLowerCase()
    : 'application/octet-stream';

const sizeOf = (said: unknown): number =>
  typeof said === 'number' && Number.isSafeInteger(said) && said > 0 ? said : 0;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
