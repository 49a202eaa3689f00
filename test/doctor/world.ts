import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { examine, type Scope } from '../../src/cli/doctor/examine.js';
import type { Code, Layer } from '../../src/cli/doctor/codes.js';
import { exitCodeOf } from '../../src/cli/doctor/exit-code.js';
import type { Finding } from '../../src/cli/doctor/finding.js';
import { usualLimits, type Limits } from '../../src/cli/doctor/limits.js';
import { openPatient, type PatientOptions } from '../../src/cli/doctor/open-patient.js';
import type { Environment } from '../../src/cli/config/reader.js';
import { fill } from '../backup/world.js';
import { folder, node } from '../node/world.js';

export const CLUSTER = 'cluster-id-of-the-doctors-tests';

/** What a replica of the test cluster is started with; nobody listens at any of these addresses. */
export const settings = {
  UNDERSTUDY_CLUSTER_ID: CLUSTER,
  UNDERSTUDY_RELAY_URLS: 'ws://127.0.0.1:9',
  UNDERSTUDY_PLATFORM_URL: 'http://127.0.0.1:9',
  MATRIX_HOMESERVER_URL: 'http://127.0.0.1:9',
  MATRIX_ACCESS_TOKEN: 'token-of-the-test-bot',
};

/** A disk and servers that are slow because the machine is busy are no findings, unless a test asks for them. */
const patientLimits: Limits = { ...usualLimits, slowWriteMs: 60_000, answerMs: 30_000 };

/** A folder in which a node has worked, with a backup, and that nobody holds. */
export async function healthyFolder(): Promise<string> {
  const dir = join(await folder(), 'replica');
  const one = await node([], { dataDir: dir, found: true, clusterId: CLUSTER });
  await fill(one, 0, 5);
  await one.backups.create('asked');
  await one.close();
  return dir;
}

export interface Examination {
  findings: Finding[];
  codes: Code[];
  exit: number;
  /** The one of that code; throws when there is none. */
  of: (code: Code) => Finding;
}

export async function doctor(
  dir: string,
  options: {
    env?: Environment;
    only?: Layer[];
    offline?: boolean;
    probe?: boolean;
    limits?: Partial<Limits>;
    configFile?: string;
  } & Partial<Pick<PatientOptions, 'files' | 'clock' | 'signal'>> = {},
): Promise<Examination> {
  const { env = settings, only = [], offline = false, probe = false, limits, configFile, ...rest } = options;
  const flags = new Map([['UNDERSTUDY_DATA_DIR', { flag: '--data', text: dir }]]);
  const patient = await openPatient(
    { env, flags, ...(configFile !== undefined && { configFile }) },
    { signal: new AbortController().signal, ...rest, limits: { ...patientLimits, ...limits } },
  );
  const scope: Scope = { only, offline, probe, say: () => {} };
  const findings = (await examine(patient, scope)).flatMap((one) => one.findings);
  return {
    findings,
    codes: findings.filter(({ severity }) => severity !== 'ok').map(({ code }) => code),
    exit: exitCodeOf(findings),
    of: (code) => {
      const found = findings.find((one) => one.code === code);
      if (found === undefined) throw new Error(`no ${code} among ${JSON.stringify(findings, undefined, 1)}`);
      return found;
    },
  };
}

/** Every file by its path, with a hash of its bytes. */
export async function bytesOf(dir: string): Promise<Record<string, string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  const hashes = await Promise.all(
    files.sort().map(async (path) => {
      const sum = createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
      return [path, sum] as const;
    }),
  );
  return Object.fromEntries(hashes);
}

/** The files of stored chunks. */
export async function chunkFiles(dir: string): Promise<string[]> {
  const files = Object.keys(await bytesOf(join(dir, 'documents')));
  return files.filter((path) => /\/(snapshot|incremental)\//.test(path));
}
