/**
 * What never enters a log line, whoever writes it: values under keys that name a secret or a message's text,
 * the secrets that this process was started with, and the usual shapes of tokens inside other strings.
 */
const secretKey =
  /token|passw|secret|authori[sz]ation|cookie|api_?key|cluster_?id|^(body|formatted_body|text|content|prompt|answer|database_?url)$/i;
/** Counts and limits named after tokens or prompts are no secrets, and neither is an event id. */
const isHarmless = (value: unknown): boolean =>
  typeof value === 'string' ? /^\$[\w.:+/-]+$/.test(value) : typeof value !== 'object' || value === null;

const hidden = '[redacted]';
const maxDepth = 6;
const maxEntries = 100;

const tokenShapes: [RegExp, string][] = [
  [/\b(bearer\s+)[\w.~+/=-]+/gi, `$1${hidden}`],
  [/\b(access_token=|token=)[^\s&"']+/gi, `$1${hidden}`],
  [/\bsy[trl]_[\w-]{8,}/g, hidden],
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@"':]+:[^\s/@"']*@/gi, `$1${hidden}@`],
];

/** A secret shorter than this would blank out ordinary words; no token we make or accept is so short. */
const shortestSecret = 6;

export class Redactor {
  private readonly secrets: string[] = [];

  constructor(secrets: Iterable<string> = []) {
    for (const secret of secrets) this.hide(secret);
  }

  /** From now on `secret` is blanked out wherever it appears, also inside other strings. */
  hide(secret: string): void {
    if (secret.length < shortestSecret) return;
    const escaped = JSON.stringify(secret).slice(1, -1);
    for (const form of new Set([secret, escaped, encodeURIComponent(secret)])) {
      if (!this.secrets.includes(form)) this.secrets.push(form);
    }
    // A secret that contains another must go first, or its rest would stay.
    this.secrets.sort((a, b) => b.length - a.length);
  }

  /** Any text, also a whole line of JSON (which stays valid JSON). */
  text(line: string): string {
    let clean = line;
    for (const secret of this.secrets) clean = clean.replaceAll(secret, hidden);
    for (const [shape, instead] of tokenShapes) clean = clean.replace(shape, instead);
    return clean;
  }

  /** A copy of a value that is safe to write; errors become plain data, with their stack only when `stacks`. */
  value(value: unknown, stacks = false, depth = 0): unknown {
    if (value instanceof Error) return this.error(value, stacks, depth);
    if (typeof value === 'bigint') return value.toString();
    if (typeof value !== 'object' || value === null) return value;
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
    if (value instanceof Uint8Array) return `<${value.byteLength} bytes>`;
    if (depth >= maxDepth) return '<deep>';
    if (Array.isArray(value))
      return value.slice(0, maxEntries).map((item) => this.value(item, stacks, depth + 1));
    if (value instanceof Map)
      return this.value(Object.fromEntries(value as Map<string, unknown>), stacks, depth);
    if (value instanceof Set) return this.value([...value], stacks, depth);
    return Object.fromEntries(
      Object.entries(value)
        .slice(0, maxEntries)
        .map(([key, item]) => [
          key,
          secretKey.test(key) && !isHarmless(item) ? hidden : this.value(item, stacks, depth + 1),
        ]),
    );
  }

  private error(error: Error, stacks: boolean, depth: number): unknown {
    const { code } = error as { code?: unknown };
    return {
      type: error.name,
      message: error.message,
      ...((typeof code === 'string' || typeof code === 'number') && { code }),
      ...(stacks && { stack: error.stack }),
      ...(error.cause !== undefined &&
        depth < maxDepth && { cause: this.value(error.cause, stacks, depth + 1) }),
    };
  }
}
