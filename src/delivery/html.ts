import MarkdownIt, { type Token } from 'markdown-it';
import { shownText } from './shown-text.js';

/** Longer texts are not rendered, so that no text can hold the process up; parts of answers are never so long. */
const MOST_UNITS = 16_000;
/** The specification allows 100 levels of tags. What markdown-it meets below its own bound it drops. */
const MOST_NESTING = 40;
const MOST_CELLS = 10_000;

/**
 * Markdown (CommonMark, tables, strikethrough; a line end is a line end) as the HTML of `org.matrix.custom.html`
 * (client-server API, "m.room.message msgtypes"). Undefined where the text says the same without: no markup, or too much
 * of it. Only tags written below can come out, and every text and attribute between them is escaped here.
 */
export function matrixHtml(markdown: string): string | undefined {
  if (markdown.length > MOST_UNITS || mayBeLargeTable(markdown)) return undefined;
  const text = shownText(markdown);
  const tokens = parser.parse(text, {});
  if (tokens.some((token) => token.level >= MOST_NESTING - 1)) return undefined;
  if (text === markdown && tokens.every(isPlain)) return undefined;
  const isOneParagraph = tokens.length === 3 && tokens[0]?.type === 'paragraph_open';
  return (isOneParagraph ? tokens.slice(1, 2) : tokens).map(htmlOf).join('');
}

const parser = new MarkdownIt('default', { html: false, maxNesting: MOST_NESTING });
// What an escape or an entity stood for is told from plain text.
parser.disable('text_join');
parser.validateLink = (url) => linkTo(url) !== undefined;

/** Short rows are filled up to the width of their table, so that a small text can make a very large one. */
function mayBeLargeTable(text: string): boolean {
  const lines = text.split('\n');
  const columns = Math.max(...lines.map((line) => line.split('|').length - 1));
  return columns * lines.length > MOST_CELLS;
}

const SCHEMES = new Set(['http:', 'https:', 'mailto:', 'matrix:']);
const MOST_URL_UNITS = 2000;

/** The address as a browser would take it, if it may be linked to. One with a name before an `@` passes for another. */
function linkTo(href: string): string | undefined {
  if (href.length > MOST_URL_UNITS || !URL.canParse(href)) return undefined;
  const url = new URL(href);
  return SCHEMES.has(url.protocol) && url.username === '' && url.password === '' ? url.href : undefined;
}

/** Says nothing that the text itself does not show. Bare addresses are for clients to make links of. */
function isPlain({ type, children }: Token): boolean {
  if (type === 'inline') return (children ?? []).every((child) => /^(?:text|softbreak)$/.test(child.type));
  return type === 'paragraph_open' || type === 'paragraph_close';
}

const ELEMENTS: Record<string, string> = {
  paragraph: 'p',
  blockquote: 'blockquote',
  bullet_list: 'ul',
  list_item: 'li',
  table: 'table',
  thead: 'thead',
  tbody: 'tbody',
  tr: 'tr',
  th: 'th',
  td: 'td',
  strong: 'strong',
  em: 'em',
  s: 'del',
};

function htmlOf(token: Token): string {
  if (token.hidden) return '';
  const isOpening = token.nesting === 1;
  const name = token.type.replace(/_(?:open|close)$/, '');
  const element = ELEMENTS[name];
  if (element !== undefined) return isOpening ? `<${element}>` : `</${element}>`;
  switch (name) {
    case 'inline':
      return inline(token.children ?? []);
    case 'text':
    case 'text_special':
      return escaped(token.content);
    case 'softbreak':
    case 'hardbreak':
      return '<br>';
    case 'hr':
      return '<hr>';
    case 'heading':
      return `<${isOpening ? '' : '/'}${/^h[1-6]$/.test(token.tag) ? token.tag : 'h6'}>`;
    case 'ordered_list':
      return isOpening ? `<ol${startOf(token)}>` : '</ol>';
    case 'image':
      return image(token);
    case 'code_inline':
      return `<code>${escaped(token.content)}</code>`;
    case 'fence':
    case 'code_block':
      return `<pre><code${languageOf(token)}>${escaped(token.content)}</code></pre>`;
    default:
      return escaped(token.content);
  }
}

/** Links do not nest; one to nowhere (`[x]()`) is its text. */
function inline(tokens: Token[]): string {
  let isLinked = false;
  const pieces = tokens.map((token) => {
    if (token.type === 'link_close') return isLinked ? '</a>' : '';
    if (token.type !== 'link_open') return htmlOf(token);
    const url = linkTo(textOf(token.attrGet('href')));
    isLinked = url !== undefined;
    return url === undefined ? '' : `<a href="${quoted(url)}">`;
  });
  return pieces.join('');
}

/** A number, as far as lists go. */
function startOf(token: Token): string {
  const start = Number(token.attrGet('start') ?? 1);
  return Number.isSafeInteger(start) && start !== 1 ? ` start="${start}"` : '';
}

function languageOf({ type, info }: Token): string {
  const language = /^[\w+#.-]{1,40}(?=\s|$)/.exec(info.trim())?.[0];
  return type === 'fence' && language !== undefined ? ` class="language-${quoted(language)}"` : '';
}

/** Clients show only pictures that a homeserver holds, and one elsewhere would tell who reads: a link to it stays. */
function image(token: Token): string {
  const url = linkTo(textOf(token.attrGet('src')));
  const label = escaped(token.content === '' ? (url ?? '') : token.content);
  return url === undefined ? label : `<a href="${quoted(url)}">${label}</a>`;
}

const textOf = (attribute: string | number | null): string => String(attribute ?? '');

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };
/** Numeric entities of the source have become characters by now, so that what is not to be shown is looked for here. */
const escaped = (text: string): string => shownText(text).replace(/[&<>]/g, (char) => ENTITIES[char] ?? '');
const quoted = (attribute: string): string => escaped(attribute).replaceAll('"', '&quot;');
