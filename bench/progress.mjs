/** One line for the person who waits; on stderr, so that what is measured can be piped on. */
export function progress(text) {
  process.stderr.write(`… ${text}\n`);
}
