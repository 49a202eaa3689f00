import {
  LARGEST_ATTACHMENT,
  LARGEST_ATTACHMENTS,
  MOST_ATTACHMENTS,
  sizeInWords,
} from '../../platform/attachments.js';
import type { Fault } from './media.js';

const AGAIN = 'Send what you need once more, then ask again.';

const faults: Record<Fault, string> = {
  encrypted: 'it is encrypted, and I cannot read it. Send it unencrypted',
  'too-large': `it is larger than ${sizeInWords(LARGEST_ATTACHMENT)}`,
  'no-address': 'it has no address that I could fetch it from',
};

/** A name is a stranger's text: it stands as code, so that it formats nothing and mentions nobody. */
const quoted = (name: string): string => `\`${name.replaceAll('`', "'")}\``;

export const faultText = (name: string, fault: Fault): string =>
  `I cannot take ${quoted(name)}: ${faults[fault]}.`;

export const tooManyText = (count: number): string =>
  `I take ${MOST_ATTACHMENTS} files with one prompt, and ${count} came before this one. ${AGAIN}`;

export const tooLargeText = (): string =>
  `The files before this prompt are larger than ${sizeInWords(LARGEST_ATTACHMENTS)} together. ${AGAIN}`;

export const missingText = (name: string, why: string): string =>
  `I could not get ${quoted(name)}: ${why}. The agent was not asked. ${AGAIN}`;
