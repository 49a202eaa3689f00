import fc from 'fast-check';
import { expect, test } from 'vitest';
import { answerHash, freeze } from '../../src/delivery/answer.js';
import { editContent, EVENT_BYTES, messageContent } from '../../src/delivery/content.js';
import type { DeliveryMark } from '../../src/delivery/mark.js';
import { cutText, encodedBytes, firstPart, PART_BYTES, splitText } from '../../src/delivery/split.js';
import { HOSTILE } from '../delivery/hostile-markdown.js';

const LIMIT = 900;
const words = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: 'grapheme', maxLength: 60 }) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('Well. It is so! Is it? ', 'one word after another ', '日本語。そうです。'),
  },
  { weight: 3, arbitrary: fc.constantFrom('```ts', '```', '~~~~', '~~~', '  ```py', '````') },
  { weight: 2, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 300, maxLength: 900 }) },
);
const inContainers = fc.constantFrom('> ```', '> a', '1. ```js', '     ```', '> > ~~~', '- b');
const textOf = (line: fc.Arbitrary<string>) =>
  fc.array(line, { minLength: 30, maxLength: 120 }).map((lines) => lines.join('\n'));
const text = textOf(fc.oneof({ weight: 4, arbitrary: words }, { weight: 1, arbitrary: inContainers }));
/** Without quotes and lists, whose fences begin elsewhere on a line. */
const flat = textOf(words).map((said) => said.replace(/^[ \t]*(?:>|[-*+]|\d+[.)]| {4}|\t).*$/gm, 'plain'));

/** As the rules of Markdown have it for fences that begin a line: the fence open at the end, if one is. */
function openFence(part: string): string | undefined {
  let open: string | undefined;
  for (const one of part.split('\n')) {
    const [, marker = '', info = ''] = /^ {0,3}(`{3,}|~{3,})(.*)$/.exec(one) ?? [];
    if (open === undefined)
      open = marker !== '' && !(marker[0] === '`' && info.includes('`')) ? marker : undefined;
    else if (marker[0] === open[0] && marker.length >= open.length && info.trim() === '') open = undefined;
  }
  return open;
}

const mark = (answer: { hash: string; parts: string[] }, part: number): DeliveryMark => ({
  source: `$${'s'.repeat(254)}`,
  step: `final/${'h'.repeat(22)}`,
  final: true,
  epoch: 999_999_999,
  replica: 'r'.repeat(255),
  text: { hash: answer.hash, parts: answer.parts.length, part },
  after: 'h'.repeat(22),
});

function largest(parts: string[]): number {
  const answer = freeze('m.notice', parts);
  const target = `$${'t'.repeat(254)}`;
  return Math.max(
    ...parts.flatMap((body, i) => {
      const message = { kind: answer.kind, body, mark: mark(answer, i + 1) };
      const sent = messageContent({ ...message, replyTo: { event: target, thread: target } });
      return [sent, editContent({ ...message, target })].map((content) =>
        Buffer.byteLength(JSON.stringify(content)),
      );
    }),
  );
}

test('D3-fence: a code block that is cut is closed, and opened again with its language', () => {
  const code = Array.from({ length: 900 }, (_, n) => `const line${n} = "${'x'.repeat(40)}";`).join('\n');
  const parts = splitText(`Here it is:\n\n\`\`\`ts\n${code}\n\`\`\`\n\nDone.`);
  expect(parts.length).toBeGreaterThan(3);
  for (const part of parts) expect(openFence(part)).toBeUndefined();
  for (const part of parts.slice(1)) expect(part.startsWith('```ts\nconst line')).toBe(true);
  expect(
    parts.map((part) => part.replace(/^```ts\n(?=const)/, '').replace(/\n```$/, '')).join('\n'),
  ).toContain('line899');
});

test('D3-fence: whatever is cut, no part but the last leaves a fence open, and nothing is lost', () => {
  fc.assert(
    fc.property(flat, (said) => {
      const cuts = cutText(said, LIMIT);
      expect(cuts.map((cut) => cut.text).join('')).toBe(said);
      for (const { before, text: own, after } of cuts.slice(0, -1)) {
        expect(openFence(before + own + after)).toBeUndefined();
      }
    }),
    { numRuns: 300 },
  );
});

test.each([
  ['> ', 'a quote'],
  ['   ', 'a list'],
  ['     ', 'a list of lists'],
])('D3-fence: within %j (%s) it goes on there', (lead) => {
  const code = Array.from({ length: 40 }, (_, n) => `${lead}line ${n} ${'x'.repeat(30)}`).join('\n');
  const [first = '', second = ''] = splitText(`${lead}\`\`\`js\n${code}\n${lead}\`\`\`\n\nend`, LIMIT);
  expect(first.endsWith(`\n${lead}\`\`\``) || first.endsWith(`${lead}\`\`\``)).toBe(true);
  expect(second).toMatch(/^(?:> |- | )*```js\n/);
  expect(second.split('\n')[1]?.startsWith(`${lead}line`)).toBe(true);
});

test('D3-bytes: every part fits into an event, as it is sent first and as an edit, with its HTML', () => {
  const nasty = fc.oneof(
    text,
    fc
      .array(
        fc.constantFrom(
          '*a*',
          '<',
          '"',
          '\\',
          '\u0000',
          '`b`',
          '&',
          '\n',
          '😀',
          '| a ',
          '[x](https://e.example)',
        ),
        {
          minLength: 2000,
          maxLength: 8000,
        },
      )
      .map((pieces) => pieces.join('')),
  );
  fc.assert(
    fc.property(nasty, (said) => {
      const parts = splitText(said);
      for (const part of parts) expect(encodedBytes(part)).toBeLessThanOrEqual(PART_BYTES);
      expect(largest(parts)).toBeLessThanOrEqual(EVENT_BYTES);
    }),
    { numRuns: 40 },
  );
});

test('D3-bytes: code, prose and every hostile text keep the bound too', () => {
  for (const one of [
    ...HOSTILE,
    '<'.repeat(40_000),
    '**a** '.repeat(8000),
    '\u0001'.repeat(20_000),
    '日本語。'.repeat(9000),
  ]) {
    expect(largest(splitText(one))).toBeLessThanOrEqual(EVENT_BYTES);
  }
});

test('D3-bytes: code of usual make keeps its HTML in an edit of a full part', () => {
  const code = `\`\`\`ts\n${'if (a < b && c > 0) { log("x", `y`, {}); }\n'.repeat(400)}\`\`\``;
  const [part = ''] = splitText(code);
  expect(encodedBytes(part)).toBeGreaterThan(0.9 * PART_BYTES);
  const answer = freeze('m.text', [part]);
  const edit = editContent({ kind: 'm.text', body: part, mark: mark(answer, 1), target: '$t' });
  expect(edit['formatted_body']).toContain('<code class="language-ts">');
});

test('D3-cut: parts end at a paragraph, else at a line, a sentence, a word, and never within a character', () => {
  const ends = (said: string) =>
    splitText(said, LIMIT)
      .slice(0, -1)
      .map((part) => part.slice(-2));
  expect(new Set(ends('A line of it.\nAnother.\n\n'.repeat(200)))).toEqual(new Set(['\n\n']));
  expect(new Set(ends('a line of it\n'.repeat(200)))).toEqual(new Set(['t\n']));
  expect(new Set(ends('One sentence of it. '.repeat(200)))).toEqual(new Set(['. ']));
  expect(new Set(ends('word '.repeat(500)))).toEqual(new Set(['d ']));
});

test('D3-cut: what a person sees as one character is never taken apart', () => {
  const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
  const family = fc.constantFrom('👩‍👩‍👧‍👦', '🇩🇪', '👍🏽', 'é', '각', 'क्षि', 'ที่', '한', '\r\n', '🏴󠁧󠁢󠁥󠁮󠁧󠁿');
  const dense = fc.array(fc.oneof(family, fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 })), {
    minLength: 200,
    maxLength: 500,
  });
  fc.assert(
    fc.property(dense, (pieces) => {
      const said = pieces.join('').replaceAll('`', '');
      const starts = new Set([...segmenter.segment(said)].map(({ index }) => index));
      let at = 0;
      for (const { text: own } of cutText(said, LIMIT).slice(0, -1)) {
        at += own.length;
        expect([starts.has(at), said.slice(at - 4, at + 4)]).toEqual([true, expect.any(String)]);
      }
    }),
    { numRuns: 200 },
  );
});

test('D3-cut: a text is cut the same whenever it is cut, and the first part is the first', () => {
  fc.assert(
    fc.property(text, (said) => {
      expect(splitText(said, LIMIT)).toEqual(splitText(said, LIMIT));
      expect(firstPart(said, LIMIT)).toBe(splitText(said, LIMIT)[0]);
    }),
    { numRuns: 100 },
  );
});

test('D3-cut: a text of 1 MB, and one of 100,000 quotes, are cut without delay', () => {
  for (const said of [
    'x'.repeat(1_000_000),
    '> '.repeat(100_000),
    '`'.repeat(500_000),
    'a\n'.repeat(400_000),
  ]) {
    expect(
      cutText(said)
        .map((cut) => cut.text)
        .join(''),
    ).toBe(said);
  }
});

test('D3-hash: the hash is over the texts of the parts, the same in every release', () => {
  expect(answerHash('m.text', ['**a**', 'b'])).toBe('RdiA4f4GCE1KsHy8e0myII');
  const said = `Intro.\n\n\`\`\`py\n${'print("x")\n'.repeat(3000)}\`\`\`\n${'A sentence. '.repeat(2000)}`;
  expect(freeze('m.text', splitText(said)).hash).toBe('JxZyXEkK45WKjydHuB7KMN');
});
