import { z } from 'zod';
import { readLines } from '../lines.js';
import { BackendError } from './backend.js';

const LONGEST_LINE = 1_000_000;
const LONGEST_ANSWER = 1_000_000;

const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        delta: z.object({ content: z.string().nullish() }).nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .default([]),
  error: z.object({ message: z.string() }).nullish(),
});

/**
 * Reads one streamed chat completion: server-sent events of the chat completions API, ended by `[DONE]` or a
 * `finish_reason`. Resolves to the whole text. Rejects with an ordinary error when the stream is cut or breaks
 * (worth another try), with {@link BackendError} when the model ended without text or the text has no end.
 */
export async function readCompletion(
  body: ReadableStream<Uint8Array>,
  onText: (text: string) => void,
  onBytes: () => void,
): Promise<string> {
  let text = '';
  let finished: string | undefined;
  for await (const line of readLines(body, LONGEST_LINE, onBytes)) {
    if (!line.startsWith('data:')) continue;
    const data = line.slice('data:'.length).trim();
    if (data === '[DONE]') {
      finished ??= 'done';
      break;
    }
    const chunk = parseChunk(data);
    if (chunk.error) throw new Error(`the endpoint broke off: ${chunk.error.message.slice(0, 300)}`);
    for (const choice of chunk.choices.slice(0, 1)) {
      const piece = choice.delta?.content ?? '';
      text += piece;
      if (piece) onText(piece);
      finished = choice.finish_reason ?? finished;
    }
    if (text.length > LONGEST_ANSWER)
      throw new BackendError('backend-endless', 'the model did not stop talking');
  }
  if (finished === undefined) throw new Error('the stream was cut before its end');
  if (text.trim() === '') throw new BackendError('backend-empty', `the model answered nothing (${finished})`);
  return text;
}

function parseChunk(data: string): z.infer<typeof chunkSchema> {
  try {
    return chunkSchema.parse(JSON.parse(data));
  } catch (error) {
    throw new Error('the endpoint sent something that is not a chat completion', { cause: error });
  }
}
