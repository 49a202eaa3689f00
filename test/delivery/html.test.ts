import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { editContent, messageContent } from '../../src/delivery/content.js';
import { matrixHtml } from '../../src/delivery/html.js';
import { eventProblems } from '../world/event-schema.js';
import { htmlProblems } from '../world/matrix-html.js';
import { HOSTILE } from './hostile-markdown.js';

describe('Markdown as Matrix HTML', () => {
  test.each([
    ['**b** *i* ~~d~~ `c`', '<strong>b</strong> <em>i</em> <del>d</del> <code>c</code>'],
    ['one\n\n*two*', '<p>one</p><p><em>two</em></p>'],
    ['*one*\ntwo', '<em>one</em><br>two'],
    ['# A\n### B', '<h1>A</h1><h3>B</h3>'],
    ['- a\n- b\n  1. c', '<ul><li>a</li><li>b<ol><li>c</li></ol></li></ul>'],
    ['3. c\n4. d', '<ol start="3"><li>c</li><li>d</li></ol>'],
    ['> q\n> r\n\n---', '<blockquote><p>q<br>r</p></blockquote><hr>'],
    ['```ts\nif (a < b) "x";\n```', '<pre><code class="language-ts">if (a &lt; b) "x";\n</code></pre>'],
    ['    a & b', '<pre><code>a &amp; b\n</code></pre>'],
    [
      '| a | b |\n| - | -: |\n| 1 | 2 |',
      '<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>',
    ],
    ['[x](https://e.example/?a=1&b="2")', '<a href="https://e.example/?a=1&amp;b=%222%22">x</a>'],
    ['[x](matrix:u/a:e.example) <a@e.example>', undefined],
    ['![cat](https://e.example/cat.png)', '<a href="https://e.example/cat.png">cat</a>'],
    ['*see* https://e.example/a_b_c', '<em>see</em> https://e.example/a_b_c'],
    ['[x]() *y*', 'x <em>y</em>'],
    ['1 \\* 2', '1 * 2'],
  ])('%j', (markdown, html) => {
    const made = matrixHtml(markdown);
    if (html !== undefined) expect(made).toBe(html);
    expect(htmlProblems(made ?? '')).toEqual([]);
  });

  test('a text without markup has none', () => {
    for (const text of [
      '',
      'hello',
      'a\n\nb\nc',
      '#1: say it',
      '2 < 3 & 4 > 1',
      'see https://e.example/a_b_c',
      'a_b_c',
    ]) {
      expect(matrixHtml(text)).toBeUndefined();
    }
  });

  test('links lead to web pages, mail and Matrix only, and the others stay text', () => {
    expect(matrixHtml('*x* [a](javascript:alert(1))')).toBe('<em>x</em> [a](javascript:alert(1))');
    expect(matrixHtml('*x* [a](mailto:a@e.example)')).toContain('<a href="mailto:a@e.example">');
    expect(matrixHtml('*x* [a](matrix:r/a:e.example)')).toContain('<a href="matrix:r/a:e.example">');
    expect(matrixHtml('*x* [a](https://good.example@evil.example)')).not.toMatch(/href="[^"]*evil/);
  });

  test('no hostile text comes out as more than text and plain tags', () => {
    expect(HOSTILE.length).toBeGreaterThan(40);
    for (const text of HOSTILE)
      expect([text.slice(0, 60), htmlProblems(matrixHtml(text) ?? '')]).toEqual([text.slice(0, 60), []]);
  });

  test('no hostile text mentions anybody, as a message or as an edit, and each fits what Matrix says of messages', () => {
    const mark = { source: '$1', step: 'anchor', final: true, epoch: 0, replica: 'r' };
    for (const body of HOSTILE) {
      const message = { kind: 'm.text' as const, body, mark };
      const edit = editContent({ ...message, target: '$1' });
      for (const content of [messageContent(message), edit, edit['m.new_content']] as Record<
        string,
        unknown
      >[]) {
        expect(content['m.mentions'], body.slice(0, 60)).toEqual({});
        expect([body.slice(0, 60), ...eventProblems('m.room.message', content)]).toEqual([body.slice(0, 60)]);
      }
    }
  });

  test('whatever is said, what comes out is well-formed and within the specification', () => {
    const piece = fc.oneof(
      fc.constantFrom(...HOSTILE.filter((text) => text.length < 200)),
      fc.constantFrom(
        '\n',
        '\n\n',
        '> ',
        '- ',
        '1. ',
        '```',
        '~~~',
        '**',
        '*',
        '_',
        '`',
        '|',
        '<',
        '>',
        '&',
        '[',
        '](',
        ')',
        '!',
        '    ',
      ),
      fc.string({ unit: 'binary', maxLength: 12 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        expect(htmlProblems(matrixHtml(pieces.join('')) ?? '')).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('rendering is bounded: a text of 1 MB is not rendered, nor what is nested 100,000 times', () => {
    expect(matrixHtml('**x** '.repeat(170_000))).toBeUndefined();
    expect(matrixHtml(`${'>'.repeat(100_000)} **x**`)).toBeUndefined();
    expect(matrixHtml(`${'> '.repeat(200)} **x**`)).toBeUndefined();
  });

  test('nothing that is said is lost in deep nesting: the text goes as it is', () => {
    for (let depth = 1; depth < 60; depth += 1) {
      const html = matrixHtml(`${'> '.repeat(depth)}**deep**`);
      expect(html === undefined || html.includes('deep')).toBe(true);
      expect(htmlProblems(html ?? '')).toEqual([]);
    }
  });
});
