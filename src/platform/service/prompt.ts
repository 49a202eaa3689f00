import { z } from 'zod';
import {
  LARGEST_ATTACHMENT,
  LARGEST_ATTACHMENTS,
  LONGEST_NAME,
  LONGEST_TYPE,
  MOST_ATTACHMENTS,
} from '../attachments.js';
import { Refusal } from './errors.js';
import { idSchema, LARGEST_BODY, textSchema } from './request.js';

/** Base64 takes four characters for three bytes. */
const encodedLength = (bytes: number) => 4 * Math.ceil(bytes / 3);

/** Bytes of a prompt's body: its text, and attachments as large as they may be. */
export const LARGEST_PROMPT = LARGEST_BODY + encodedLength(LARGEST_ATTACHMENTS) + 4 * MOST_ATTACHMENTS;

/** Decoding skips what is no base64, so that only a text that encodes what came out of it was one. */
const bytesSchema = z
  .string()
  .max(encodedLength(LARGEST_ATTACHMENT))
  .transform((data, context) => {
    const bytes = Buffer.from(data, 'base64');
    if (bytes.toString('base64') === data) return bytes;
    context.addIssue({ code: 'custom', message: 'must be base64' });
    return z.NEVER;
  });

const attachmentSchema = z
  .object({
    name: textSchema.pipe(z.string().min(1).max(LONGEST_NAME)),
    mime_type: idSchema.max(LONGEST_TYPE),
    data: bytesSchema,
  })
  .transform(({ name, mime_type, data }) => ({ name, mime_type, bytes: data }));

export const promptSchema = z.object({
  text: textSchema,
  user: idSchema,
  attachments: z.array(attachmentSchema).max(MOST_ATTACHMENTS).default([]),
});

/** Throws {@link Refusal} where the text, or all attachments together, are larger than they may be. */
export function checkSizes({ text, attachments }: z.infer<typeof promptSchema>): void {
  if (Buffer.byteLength(text) > LARGEST_BODY)
    throw new Refusal('too-large', `the text is larger than ${LARGEST_BODY} bytes`);
  if (attachments.reduce((sum, { bytes }) => sum + bytes.length, 0) > LARGEST_ATTACHMENTS)
    throw new Refusal('too-large', `the attachments are larger than ${LARGEST_ATTACHMENTS} bytes together`);
}
