import { isUtf8 } from 'node:buffer';
import type { Attachment } from '../attachments.js';

type Part = { type: 'text'; text: string } | { type: 'image_url'; image_url: { url: string } };

const IMAGES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);
const TEXTS = /^(text\/|application\/(json|xml|yaml|toml|javascript|x-sh)$)/;
/** Characters of a text file that a model is given. */
const LONGEST_TEXT = 100_000;

/**
 * The content of one message of the chat completions API: plain text where nothing goes with it; else images as data
 * URLs and text files as text. What a model cannot be shown is named in the text alone.
 */
export function contentOf(text: string, attachments: readonly Attachment[]): string | Part[] {
  const parts = attachments.flatMap(partOf);
  return parts.length === 0 ? text : [{ type: 'text', text }, ...parts];
}

function partOf({ name, mime_type, bytes }: Attachment): Part[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (IMAGES.has(mime_type))
    return [
      { type: 'image_url', image_url: { url: `data:${mime_type};base64,${buffer.toString('base64')}` } },
    ];
  if (!TEXTS.test(mime_type) || !isUtf8(buffer)) return [];
  const whole = buffer.toString('utf8');
  const isCut = whole.length > LONGEST_TEXT;
  const cut = isCut ? `${wellFormed(whole.slice(0, LONGEST_TEXT))}\n[cut off here]` : whole;
  return [{ type: 'text', text: `File ${name}:\n${cut}` }];
}

/** A cut may go through a pair of surrogates. */
const wellFormed = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');
