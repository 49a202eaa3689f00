/** Text that every database stores: no NUL, no half of a surrogate pair; each becomes U+FFFD. */
export function wellFormed(text: string): string {
  return Buffer.from(text.replaceAll('\0', '\uFFFD'), 'utf8').toString('utf8');
}
