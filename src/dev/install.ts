import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DevError, waysOn } from './errors.js';
import { holdInstall } from './install-lock.js';
import { run } from './run.js';

/** The release of the PyPI package `matrix-synapse` that local homeservers run. */
export const SYNAPSE_VERSION = '1.163.2';

const OLDEST_PYTHON: [number, number] = [3, 10];
const PYTHONS = ['python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python'];
const INSTALL_DEADLINE_MS = 15 * 60_000;
/** pip's words for an index out of reach; a release that is merely unknown there reads the same to it. */
const UNREACHABLE =
  /NewConnectionError|Name or service not known|Temporary failure|ConnectionError|ProxyError|ReadTimeout|Network is unreachable|No matching distribution/;

export interface EnsureSynapse {
  /** Where the virtual environment is, or is to be made. */
  venvDir: string;
  /** Takes one line per step that a person may wait for. */
  report: (progress: string) => void;
  signal?: AbortSignal;
}

/**
 * Makes sure that `venvDir` holds a virtual environment with Synapse {@link SYNAPSE_VERSION}, and resolves to the
 * path of its Python. A finished one is reused as it is; a half-made one, or one of another release, is made anew.
 * Safe to call from several processes at once. Errors: {@link DevError} `no-python`, `no-network`, `install-failed`.
 */
export async function ensureSynapse({ venvDir, report, signal }: EnsureSynapse): Promise<string> {
  const python = venvPython(venvDir);
  if (await isInstalled(venvDir)) return python;
  await mkdir(dirname(venvDir), { recursive: true });
  const release = await holdInstall(`${venvDir}.lock`, {
    deadlineMs: INSTALL_DEADLINE_MS,
    onWait: () => report('waiting for another process that installs Synapse'),
    ...(signal && { signal }),
  });
  try {
    if (await isInstalled(venvDir)) return python;
    const base = await findPython(signal);
    await rm(venvDir, { recursive: true, force: true });
    report(`making a Python environment with ${base}`);
    await makeVenv(base, venvDir, signal);
    report(`installing matrix-synapse ${SYNAPSE_VERSION} (about half a minute, once)`);
    await pipInstall(python, report, signal);
    // Written last: an environment without it is one whose install was cut off.
    await writeFile(marker(venvDir), SYNAPSE_VERSION);
    return python;
  } finally {
    await release();
  }
}

/** The Python inside a virtual environment. */
export const venvPython = (venvDir: string): string => join(venvDir, 'bin', 'python');

const marker = (venvDir: string) => join(venvDir, 'understudy-synapse-version');

async function isInstalled(venvDir: string): Promise<boolean> {
  const found = await readFile(marker(venvDir), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found !== SYNAPSE_VERSION) return false;
  // The Python that the environment was made with may have been removed or replaced since.
  const works = ['-c', 'import synapse, twisted'];
  try {
    return (await run(venvPython(venvDir), works, { deadlineMs: 60_000 })).code === 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function findPython(signal?: AbortSignal): Promise<string> {
  const probe = 'import sys; print("%d.%d" % sys.version_info[:2]); import venv, ensurepip';
  const seen: string[] = [];
  for (const command of PYTHONS) {
    const found = await run(command, ['-c', probe], { deadlineMs: 20_000, ...(signal && { signal }) }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'EACCES') return undefined;
        throw error;
      },
    );
    if (!found) continue;
    const [major = 0, minor = 0] = (found.lines[0] ?? '').split('.').map(Number);
    const oldEnough = major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1];
    if (oldEnough && found.code === 0) return command;
    const why = oldEnough
      ? 'lacks the venv module (on Debian and Ubuntu: apt-get install python3-venv)'
      : 'is too old';
    seen.push(`${command} ${major}.${minor} ${why}`);
  }
  const needed = `A local homeserver needs Python ${OLDEST_PYTHON.join('.')} or later with its venv module`;
  throw new DevError(
    'no-python',
    `${needed}; ${seen.length ? seen.join(', ') : 'no python3 was found'}. ${waysOn}`,
  );
}

async function makeVenv(base: string, venvDir: string, signal?: AbortSignal): Promise<void> {
  const made = await run(base, ['-m', 'venv', venvDir], { deadlineMs: 180_000, ...(signal && { signal }) });
  if (made.code === 0) return;
  const words = made.lines.slice(-5).join(' ');
  if (/ensurepip|python3-venv/.test(words)) {
    throw new DevError(
      'no-python',
      `${base} cannot make a virtual environment (on Debian and Ubuntu: apt-get install python3-venv). ${waysOn}`,
    );
  }
  throw new DevError(
    'install-failed',
    `Making a Python environment in ${venvDir} failed: ${words}. ${waysOn}`,
  );
}

async function pipInstall(
  python: string,
  report: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  let packages = 0;
  const args = [
    '-m',
    'pip',
    'install',
    '--no-input',
    '--prefer-binary',
    '--retries',
    '2',
    '--progress-bar',
    'off',
  ];
  const done = await run(python, [...args, `matrix-synapse==${SYNAPSE_VERSION}`], {
    deadlineMs: INSTALL_DEADLINE_MS,
    env: { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: '1' },
    onLine(line) {
      if (line.startsWith('Collecting ')) packages += 1;
      if (line.startsWith('Collecting ') && packages % 10 === 0)
        report(`fetched ${packages} Python packages`);
      if (line.startsWith('Installing collected')) report(`unpacking ${packages} Python packages`);
    },
    ...(signal && { signal }),
  });
  if (done.code === 0) return;
  const words = done.lines
    .filter((line) => line.trim() !== '')
    .slice(-5)
    .join(' ');
  if (done.lines.some((line) => UNREACHABLE.test(line))) {
    throw new DevError(
      'no-network',
      `pip could not fetch matrix-synapse ${SYNAPSE_VERSION}: no package index in reach. ${waysOn}`,
    );
  }
  throw new DevError(
    'install-failed',
    `pip could not install matrix-synapse ${SYNAPSE_VERSION}: ${words}. ${waysOn}`,
  );
}
