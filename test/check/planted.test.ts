import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const settings = [
  'package.json',
  'tsconfig.json',
  '.oxlintrc.json',
  '.prettierrc.json',
  '.prettierignore',
  'knip.json',
];

interface Outcome {
  code: number;
  output: string;
}

/** Runs one of the project's own check commands (`npm run check:…`) in `cwd`. */
function check(name: string, cwd: string): Promise<Outcome> {
  const scripts = (
    JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
  ).scripts;
  const [command, ...args] = (scripts[`check:${name}`] ?? '').split(' ');
  return new Promise((resolve) => {
    execFile(
      join(root, 'node_modules/.bin', command ?? ''),
      args,
      { cwd, timeout: 180_000 },
      (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr });
      },
    );
  });
}

/** A project of its own with our settings and our installed packages, and nothing in it but `files`. */
function plant(files: Record<string, string>): string {
  const dir = mkdtempSync(join(tmpdir(), 'understudy-planted-'));
  for (const name of settings) cpSync(join(root, name), join(dir, name));
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return dir;
}

const clean = {
  'src/telemetry/log.ts': 'export interface Log {\n  info(message: string): void;\n}\n',
  'src/matrix/homeserver.ts': 'export interface Homeserver {\n  whoami(): string;\n}\n',
  'src/matrix/client.ts': 'export const client = 1;\n',
  'src/cli/main.ts': 'export const main = 1;\n',
  'src/delivery/ok.ts':
    "import type { Homeserver } from '../matrix/homeserver.js';\nimport type { Log } from '../telemetry/log.js';\n\nexport const ok = (log: Log, homeserver: Homeserver): void => log.info(homeserver.whoami());\n",
};

/** Each: where it is planted, what is planted, and what the linter must say about it. */
const lint: [name: string, file: string, source: string, rule: RegExp][] = [
  [
    'a promise nobody waits for',
    'src/bot/a.ts',
    'export function f(): void {\n  Promise.resolve(1);\n}\n',
    /no-floating-promises/,
  ],
  [
    'an async function where none is awaited',
    'src/bot/a.ts',
    'export const f = (): void => [1].forEach(async () => {});\n',
    /no-misused-promises/,
  ],
  [
    'an await of what is no promise',
    'src/bot/a.ts',
    'export const f = async (): Promise<number> => await 1;\n',
    /await-thenable/,
  ],
  [
    'a switch that misses a case',
    'src/bot/a.ts',
    "export function f(x: 'a' | 'b'): number {\n  switch (x) {\n    case 'a':\n      return 1;\n  }\n  return 2;\n}\n",
    /switch-exhaustiveness-check/,
  ],
  [
    'a swallowed error',
    'src/bot/a.ts',
    'export function f(): void {\n  try {\n    f();\n  } catch {}\n}\n',
    /no-empty/,
  ],
  [
    'a comparison that converts',
    'src/bot/a.ts',
    'export const f = (x: unknown): boolean => x == 1;\n',
    /eqeqeq/,
  ],
  ['an unused variable', 'src/bot/a.ts', 'const x = 1;\nexport const y = 2;\n', /no-unused-vars/],
  ['an any', 'src/bot/a.ts', 'export const x = (y: any): number => (y ? 1 : 2);\n', /no-explicit-any/],
  [
    'a parsed value used unchecked',
    'src/bot/a.ts',
    "export const x: string = JSON.parse('1');\n",
    /no-unsafe-assignment/,
  ],
  ['a thrown string', 'src/bot/a.ts', "export function f(): void {\n  throw 'x';\n}\n", /only-throw-error/],
  ['output beside the log', 'src/bot/a.ts', "console.log('x');\n", /no-console/],
  [
    'a disk in the pure core',
    'src/documents/a.ts',
    "export { readFile } from 'node:fs/promises';\n",
    /no-restricted-imports/,
  ],
  [
    'a socket in the pure core',
    'src/delivery/a.ts',
    "export { WebSocket } from 'ws';\n",
    /no-restricted-imports/,
  ],
  [
    'an adapter in the pure core',
    'src/delivery/a.ts',
    "export { client } from '../matrix/client.js';\n",
    /no-restricted-imports/,
  ],
  [
    'an adapter in a folder of the pure core',
    'src/documents/merge/a.ts',
    "export { client } from '../../matrix/client.js';\n",
    /no-restricted-imports/,
  ],
  [
    'the system clock in a keyed store',
    'src/keyed/a.ts',
    'export const now = Date.now();\n',
    /no-restricted-properties/,
  ],
  [
    'an adapter in a keyed store',
    'src/keyed/a.ts',
    "export { client } from '../matrix/client.js';\n",
    /no-restricted-imports/,
  ],
  [
    'Matrix in the documents',
    'src/documents/a.ts',
    "export type { Homeserver } from '../matrix/homeserver.js';\n",
    /no-restricted-imports/,
  ],
  ['a timer in the pure core', 'src/routing/a.ts', 'setTimeout(() => {}, 1);\n', /no-restricted-globals/],
  [
    'the system clock in the pure core',
    'src/routing/a.ts',
    'export const now = Date.now();\n',
    /no-restricted-properties/,
  ],
  [
    'Matrix code in the node',
    'src/node/a.ts',
    "export { client } from '../matrix/client.js';\n",
    /no-restricted-imports/,
  ],
  [
    'the state service in a node',
    'src/node/a.ts',
    "export { openState } from '../state/open-state.js';\n",
    /no-restricted-imports/,
  ],
  [
    'Matrix code in the state service',
    'src/state/a.ts',
    "export { client } from '../matrix/client.js';\n",
    /no-restricted-imports/,
  ],
  [
    'Matrix code in the library',
    'src/index.ts',
    "export { client } from './matrix/client.js';\n",
    /no-restricted-imports/,
  ],
  [
    'the Matrix library outside matrix/',
    'src/bot/a.ts',
    "export { MatrixClient } from 'matrix-bot-sdk';\n",
    /no-restricted-imports/,
  ],
  [
    'the command line imported by the bot',
    'src/bot/a.ts',
    "export { main } from '../cli/main.js';\n",
    /no-restricted-imports/,
  ],
  [
    'one adapter in another',
    'src/platform/a.ts',
    "export { client } from '../matrix/client.js';\n",
    /no-restricted-imports/,
  ],
  [
    'a circle of imports',
    'src/bot/a.ts',
    "import { b } from './b.js';\n\nexport const a = (): number => b();\n",
    /no-cycle/,
  ],
  [
    'a test left focused',
    'test/a.test.ts',
    "import { it } from 'vitest';\n\nit.only('x', () => {});\n",
    /no-focused-tests/,
  ],
];

describe('every check has a planted violation that turns it red', () => {
  const dirs: string[] = [];
  const project = (files: Record<string, string>): string => {
    const dir = plant({ ...clean, ...files });
    dirs.push(dir);
    return dir;
  };
  let planted: string;
  let report: { filename: string; code: string }[];

  beforeAll(async () => {
    const files: Record<string, string> = { 'src/bot/b.ts': '' };
    lint.forEach(([, file, source], i) => {
      // Each violation in a file of its own, so that one cannot hide behind another.
      const name = file === 'src/index.ts' ? file : file.replace(/a((?:\.test)?\.ts)$/, `planted${i}$1`);
      files[name] = source.replaceAll('./b.js', `./circle${i}.js`);
      if (source.includes('./b.js'))
        files[`src/bot/circle${i}.ts`] =
          `import { a } from './planted${i}.js';\n\nexport const b = (): number => a();\n`;
    });
    delete files['src/bot/b.ts'];
    planted = project(files);
    const { output } = await new Promise<Outcome>((resolve) => {
      execFile(
        join(root, 'node_modules/.bin/oxlint'),
        ['--type-aware', '-f', 'json'],
        { cwd: planted, timeout: 180_000, maxBuffer: 1 << 24 },
        (error, stdout) => {
          resolve({ code: error ? 1 : 0, output: stdout });
        },
      );
    });
    report = (JSON.parse(output) as { diagnostics: { filename: string; code: string }[] }).diagnostics;
  }, 180_000);

  afterAll(() => {
    for (const dir of dirs) rmSync(dir, { recursive: true, force: true, maxRetries: 10 });
  });

  it('the unplanted project is green in lint, types and format', async () => {
    const dir = project({});
    for (const name of ['lint', 'types', 'format']) {
      const { code, output } = await check(name, dir);
      expect(code, `${name}: ${output}`).toBe(0);
    }
  }, 180_000);

  it.each(lint.map(([name, file, , rule], i) => ({ name, file, rule, i })))(
    'lint: $name ($file)',
    ({ file, rule, i }) => {
      const name = file === 'src/index.ts' ? file : file.replace(/a((?:\.test)?\.ts)$/, `planted${i}$1`);
      const codes = report.filter((found) => found.filename === name).map((found) => found.code);
      expect(
        codes.some((code) => rule.test(code)),
        `${name}: ${codes.join(', ')}`,
      ).toBe(true);
    },
  );

  it('lint ends red', async () => {
    expect((await check('lint', planted)).code).not.toBe(0);
  }, 180_000);

  it('types: a wrong type and an index that may be missing', async () => {
    const dir = project({
      'src/bot/a.ts': "export const x: number = 'x';\nexport const y: number = [1][0];\n",
    });
    const { code, output } = await check('types', dir);
    expect(code).not.toBe(0);
    expect(output).toMatch(/a\.ts\(1,.*TS2322[^]*a\.ts\(2,.*TS2322/);
  }, 180_000);

  it('format: a file that prettier would write otherwise', async () => {
    const dir = project({ 'src/bot/a.ts': 'export const x = "x"\n' });
    const { code, output } = await check('format', dir);
    expect(code).not.toBe(0);
    expect(output).toContain('src/bot/a.ts');
  }, 180_000);

  it('unused: a file, an export and a package that nobody lists', async () => {
    const dir = project({
      'src/index.ts':
        "import { used } from './documents/a.js';\nimport 'unlisted-package';\n\nexport const x = used;\n",
      'src/documents/a.ts': 'export const used = 1;\nexport const unusedExport = 2;\n',
      'src/documents/unused-file.ts': 'export const y = 1;\n',
    });
    const { code, output } = await check('unused', dir);
    expect(code).not.toBe(0);
    expect(output).toContain('unused-file.ts');
    expect(output).toContain('unusedExport');
    expect(output).toContain('unlisted-package');
  }, 180_000);
});

it('every folder of src has its import direction in the lint settings', () => {
  const text = readFileSync(join(root, '.oxlintrc.json'), 'utf8');
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  for (const { name } of folders) expect(text, name).toContain(`"src/${name}/**"`);
});
