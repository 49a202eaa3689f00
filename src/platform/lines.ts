/** A line grew past the limit, so what arrives is not the protocol that was expected. */
export class LineTooLong extends Error {
  constructor(limit: number) {
    super(`a line of more than ${limit} characters`);
    this.name = 'LineTooLong';
  }
}

/**
 * Cuts a body into its lines, without their ends (LF or CRLF); an unfinished last line is dropped, because a
 * cut stream may have torn it. Ends the body when the reader stops.
 */
export async function* readLines(
  body: ReadableStream<Uint8Array>,
  limit: number,
  onBytes: () => void,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onBytes();
      const text = decoder.decode(value, { stream: true });
      // A long line comes in many pieces; looking at the new one only keeps that linear.
      const lines = text.includes('\n') ? (rest + text).split('\n') : [rest + text];
      rest = lines.pop() ?? '';
      if (rest.length > limit) throw new LineTooLong(limit);
      for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
    }
  } finally {
    // A body that has failed already rejects the cancel with the same error, which the read has reported.
    reader.cancel().catch(() => undefined);
  }
}
