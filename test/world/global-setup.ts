import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { ensureSynapse, startSynapse } from '../../src/dev/synapse.js';
import { silentLog } from '../../src/telemetry/log.js';
import { buildOnce } from './build.js';
import { synapseVenv } from './synapse-venv.js';

declare module 'vitest' {
  export interface ProvidedContext {
    homeserver: { url: string; serverName: string; registrationSecret: string };
  }
}

/** One Synapse for a whole run, on a folder of its own that goes with it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const report = (progress: string) => process.stderr.write(`synapse: ${progress}\n`);
  await buildOnce();
  await ensureSynapse({ venvDir: synapseVenv, report });
  const dir = await mkdtemp(join(tmpdir(), 'understudy-synapse-'));
  const synapse = await startSynapse({ venvDir: synapseVenv, dir, log: silentLog, report });
  const { url, serverName, registrationSecret } = synapse;
  project.provide('homeserver', { url, serverName, registrationSecret });
  return async () => {
    await synapse.stop();
    await rm(dir, { recursive: true, force: true, maxRetries: 10 });
  };
}
