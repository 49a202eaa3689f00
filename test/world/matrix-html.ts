/** What the client-server API lets a message's HTML be ("m.room.message msgtypes", Matrix 1.18): tags and attributes. */
const TAGS = new Set(
  (
    'del h1 h2 h3 h4 h5 h6 blockquote p a ul ol sup sub li b i u strong em s code hr br div table thead tbody tr th ' +
    'td caption pre span img details summary'
  ).split(' '),
);
const VOID = new Set(['hr', 'br', 'img']);
const ATTRIBUTES: Record<string, RegExp> = {
  'a href': /^(?:https?|mailto|matrix):/,
  'ol start': /^-?\d+$/,
  'code class': /^language-[^\s"]+$/,
};
const MOST_LEVELS = 100;
const UNSEEN = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u;

/** Everything in a `formatted_body` that the specification, or this bot, does not allow; empty when nothing is. */
export function htmlProblems(html: string): string[] {
  const problems: string[] = [];
  const open: string[] = [];
  const rest = html.replace(/<(\/?)([a-z0-9]+)((?: [a-z-]+="[^"<>]*")*)>/g, (_, slash, name, attributes) => {
    const tag = String(name);
    if (!TAGS.has(tag)) problems.push(`the tag ${tag}`);
    if (slash === '/') {
      if (open.pop() !== tag) problems.push(`</${tag}> that closes nothing`);
    } else if (!VOID.has(tag)) open.push(tag);
    if (open.length > MOST_LEVELS) problems.push(`more than ${MOST_LEVELS} levels`);
    for (const [, attribute, value] of String(attributes).matchAll(/ ([a-z-]+)="([^"]*)"/g)) {
      const allowed = ATTRIBUTES[`${tag} ${attribute ?? ''}`];
      if (!allowed?.test(value ?? '')) problems.push(`${tag} ${attribute ?? ''}=${value ?? ''}`);
    }
    return '';
  });
  if (open.length > 0) problems.push(`not closed: ${open.slice(0, 5).join(' ')}`);
  if (/[<>]/.test(rest))
    problems.push(`an angle bracket in text: ${/.{0,20}[<>].{0,20}/s.exec(rest)?.[0] ?? ''}`);
  if (/&(?!amp;|lt;|gt;|quot;)/.test(html)) problems.push('an ampersand that is no entity');
  if (UNSEEN.test(html.replace(/[\t\n\r\u0085]/g, ''))) problems.push('characters that cannot be seen');
  return [...new Set(problems)];
}
