/** A file that goes with a prompt. Name and type are what its sender says of it, and nothing more. */
export interface Attachment {
  name: string;
  mime_type: string;
  bytes: Uint8Array;
}

/** With one prompt at most. */
export const MOST_ATTACHMENTS = 10;
/** Bytes of one. */
export const LARGEST_ATTACHMENT = 8 * 1024 * 1024;
/** Bytes of all that go with one prompt. */
export const LARGEST_ATTACHMENTS = 16 * 1024 * 1024;
/** Characters. */
export const LONGEST_NAME = 200;
export const LONGEST_TYPE = 100;

/** "cat.png, 12 kB image/png" */
export const describeAttachment = (one: Attachment): string =>
  `${one.name}, ${sizeInWords(one.bytes.length)} ${one.mime_type}`;

export function sizeInWords(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 999_500) return `${Math.round(bytes / 1000)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** A prompt's text with its attachments named behind it: what is remembered of them where their bytes are not. */
export function withNames(text: string, attachments: readonly Attachment[]): string {
  const names = attachments.map((one) => `[${describeAttachment(one)}]`).join(' ');
  return [text, names].filter((part) => part !== '').join(' ');
}
