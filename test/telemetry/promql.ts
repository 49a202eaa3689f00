/** PromQL as far as our rules and panels use it; anything else is refused, so that nothing is misread. */
export type Expr =
  | { kind: 'number'; value: number }
  | { kind: 'selector'; name: string; matchers: Matcher[]; rangeSeconds: number | undefined }
  | { kind: 'call'; name: string; args: Expr[]; by: string[] | undefined }
  | { kind: 'binary'; op: string; left: Expr; right: Expr };

export interface Matcher {
  label: string;
  op: '=' | '!=' | '=~' | '!~';
  value: string;
}

/** Loosest first. */
const LEVELS = [['or'], ['and', 'unless'], ['==', '!=', '>', '<', '>=', '<='], ['+', '-'], ['*', '/']];
const AGGREGATIONS = ['sum', 'max', 'min', 'count', 'avg', 'topk'];
export const FUNCTIONS = ['rate', 'increase', 'time', 'max_over_time', 'histogram_quantile', 'clamp_min'];
const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

const TOKEN =
  /\s*(?:(?<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?![\w])|(?<word>[a-zA-Z_:][\w:]*)|(?<text>"(?:[^"\\]|\\.)*")|(?<range>\[\d+[smhd]\])|(?<op>=~|!~|==|!=|>=|<=|[-+*/<>=(){},]))/y;

/** @throws for what is no PromQL, or more of it than this knows. */
export function parseExpr(source: string): Expr {
  const tokens: { kind: string; text: string }[] = [];
  TOKEN.lastIndex = 0;
  const rest = source.trimEnd();
  while (TOKEN.lastIndex < rest.length) {
    const at = TOKEN.lastIndex;
    const groups = TOKEN.exec(rest)?.groups;
    const [kind, text] = Object.entries(groups ?? {}).find(([, found]) => found !== undefined) ?? [];
    if (kind === undefined || text === undefined) throw new Error(`${source}: unreadable at ${at}`);
    tokens.push({ kind, text });
  }
  let at = 0;
  const peek = (): string | undefined => tokens[at]?.text;
  const take = (wanted?: string): { kind: string; text: string } => {
    const token = tokens[at];
    if (!token || (wanted !== undefined && token.text !== wanted))
      throw new Error(`${source}: ${token?.text ?? 'the end'} where ${wanted ?? 'something'} should be`);
    at += 1;
    return token;
  };
  const listOf = <T>(open: string, close: string, one: () => T): T[] => {
    const all: T[] = [];
    take(open);
    while (peek() !== close) {
      all.push(one());
      if (peek() !== close) take(',');
    }
    take(close);
    return all;
  };
  const level = (n: number): Expr => {
    const ops = LEVELS[n];
    if (!ops) return single();
    let left = level(n + 1);
    while (ops.includes(peek() ?? '')) {
      const op = take().text;
      left = { kind: 'binary', op, left, right: level(n + 1) };
    }
    return left;
  };
  const matcher = (): Matcher => {
    const label = take().text;
    const op = take().text as Matcher['op'];
    const value = take();
    if (!['=', '!=', '=~', '!~'].includes(op) || value.kind !== 'text')
      throw new Error(`${source}: no matcher`);
    return { label, op, value: JSON.parse(value.text) as string };
  };
  const single = (): Expr => {
    const token = take();
    if (token.text === '(') {
      const inner = level(0);
      take(')');
      return inner;
    }
    if (token.kind === 'number') return { kind: 'number', value: Number(token.text) };
    if (token.kind !== 'word') throw new Error(`${source}: ${token.text} begins nothing`);
    const { text: name } = token;
    if (AGGREGATIONS.includes(name) || FUNCTIONS.includes(name)) {
      const words = () => listOf('(', ')', () => take().text);
      let by = peek() === 'by' ? (take(), words()) : undefined;
      const args = listOf('(', ')', () => level(0));
      if (by === undefined && peek() === 'by') by = (take(), words());
      return { kind: 'call', name, args, by };
    }
    const matchers = peek() === '{' ? listOf('{', '}', matcher) : [];
    let rangeSeconds: number | undefined;
    if (tokens[at]?.kind === 'range') {
      const [, count, unit] = /^\[(\d+)(\w)\]$/.exec(take().text) ?? [];
      rangeSeconds = Number(count) * (UNITS[unit ?? ''] ?? Number.NaN);
    }
    return { kind: 'selector', name, matchers, rangeSeconds };
  };
  const expr = level(0);
  if (at < tokens.length) throw new Error(`${source}: ${peek()} is too much`);
  return expr;
}

/** Every metric that it asks for, with the labels that it names there; labels of `by` stand under each of them. */
export function asksFor(expr: Expr, by: string[] = []): { name: string; labels: string[] }[] {
  switch (expr.kind) {
    case 'number':
      return [];
    case 'selector':
      return [{ name: expr.name, labels: [...expr.matchers.map(({ label }) => label), ...by] }];
    case 'call':
      return expr.args.flatMap((arg) => asksFor(arg, [...by, ...(expr.by ?? [])]));
    case 'binary':
      return [...asksFor(expr.left, by), ...asksFor(expr.right, by)];
  }
}
