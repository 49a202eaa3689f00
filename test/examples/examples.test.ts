import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildOnce } from '../world/build.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const TIMEOUT_MS = 120_000;

let running: ReturnType<typeof spawn> | undefined;
afterEach(() => running?.kill('SIGKILL'));
beforeAll(buildOnce);

/** Runs an example as its README says, to its end. */
async function run(name: string): Promise<{ code: number | null; lines: string[] }> {
  const child = spawn(process.execPath, [`examples/${name}/run.mjs`], { cwd: root });
  running = child;
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, lines: text.split('\n') };
}

const saying = (lines: string[], pattern: RegExp) => lines.filter((line) => pattern.test(line));

describe('examples', () => {
  it(
    'traffic-light: the light goes on when the process that works its lamp is killed',
    async () => {
      const { code, lines } = await run('traffic-light');
      const text = lines.join('\n');
      expect(code, text).toBe(0);
      const killed = lines.findIndex((line) => line.includes('Pulled the plug'));
      const back = lines.findIndex((line) => line.includes('comes back'));
      const worker = /plug on (replica-\d)/.exec(lines[killed] ?? '')?.[1] ?? 'nobody';
      const alone = lines.slice(killed + 1, back);
      expect(saying(alone, new RegExp(`^ *${worker} `)), text).toEqual([]);
      expect(saying(alone, /switches the lamp/).length, text).toBeGreaterThan(0);
      expect(
        saying(lines.slice(back), new RegExp(`^ *${worker} +sees (red|green|yellow) at its start`)),
        text,
      ).toHaveLength(1);
      // Each change once on each process, in the order of the light.
      for (const name of ['replica-1', 'replica-2']) {
        const seen = saying(lines.slice(0, killed), new RegExp(`^ *${name} .*→`)).map((line) =>
          line.split('→')[1]?.trim(),
        );
        const order = ['red', 'green', 'yellow'];
        const first = order.indexOf(seen[0] ?? '');
        expect(seen, text).toEqual(seen.map((_, index) => order[(first + index) % 3]));
      }
    },
    TIMEOUT_MS,
  );

  it(
    'order: the card is charged once when the process that charged it is killed before it wrote that down',
    async () => {
      const { code, lines } = await run('order');
      const text = lines.join('\n');
      expect(code, text).toBe(0);
      expect(saying(lines, / charged 42, receipt/), text).toHaveLength(1);
      expect(saying(lines, / finds 42 charged, receipt/), text).toHaveLength(1);
      const receipts = lines.flatMap((line) => /receipt"?:? ?(\d+)/.exec(line)?.[1] ?? []);
      expect(new Set(receipts).size, text).toBe(1);
      expect(lines.at(-2), text).toMatch(/is back, and knows the rest/);
    },
    TIMEOUT_MS,
  );

  it('each says what it shows, in at most 40 lines', async () => {
    const folders = (await readdir(`${root}/examples`, { withFileTypes: true })).filter((one) =>
      one.isDirectory(),
    );
    expect(folders.map(({ name }) => name).sort()).toEqual(['hello-bot', 'order', 'traffic-light']);
    for (const { name } of folders) {
      const readme = await readFile(`${root}/examples/${name}/README.md`, 'utf8');
      // A bot needs a homeserver: test/e2e/hello-bot.test.ts runs it.
      const program = name === 'hello-bot' ? 'bot' : 'run';
      expect(readme).toContain(`node examples/${name}/${program}.mjs`);
      expect(readme.split('\n').length).toBeLessThanOrEqual(41);
    }
  });
});
