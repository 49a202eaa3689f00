import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../', import.meta.url));
const compiler = join(
  dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
  'bin',
  'tsc',
);

/** What bin/understudy.js sets for the product's processes, for other programs that load Automerge. */
export const startsCheaply = ['--wasm-tiering-budget=20000000'];

/**
 * Compiles programs of the tests with the sources as they are now, into a new folder, of which it resolves to the
 * path; each program is there under its own path in the project. Their types are looked at by `npm run check`.
 *
 * @param programs paths in the project.
 */
export async function compiled(programs: readonly string[]): Promise<string> {
  // Inside the project, so that the compiled files find its packages.
  const cache = join(root, 'node_modules', '.cache');
  await mkdir(cache, { recursive: true });
  const out = await mkdtemp(join(cache, 'programs-'));
  await writeFile(join(out, 'package.json'), '{"type":"module"}');
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      noCheck: true,
      outDir: out,
      rootDir: root,
      typeRoots: [join(root, 'node_modules/@types')],
    },
    files: programs.map((program) => join(root, program)),
    include: [],
  };
  await writeFile(join(out, 'tsconfig.json'), JSON.stringify(config));
  await promisify(execFile)(process.execPath, [compiler, '-p', out]);
  return out;
}
