import { messageOf } from '../explain.js';
import { checkBackups } from './backups.js';
import { checkCluster } from './cluster.js';
import { layers, networkLayers, type Layer } from './codes.js';
import { checkConfig } from './config.js';
import { checkDisk } from './disk.js';
import { checkDocuments } from './documents.js';
import { finding, timeText, type Finding } from './finding.js';
import { checkHomeserver } from './homeserver.js';
import { probeHomeserver } from './judge.js';
import type { Check, Patient } from './patient.js';
import { checkPlatform } from './platform.js';
import { checkRelays } from './relays.js';
import { checkSchema } from './schema.js';

/** What one layer came to. */
export interface Examined {
  layer: Layer;
  state: 'looked' | 'skipped';
  ms: number;
  findings: Finding[];
}

export interface Scope {
  only: readonly Layer[];
  offline: boolean;
  /** PROTOCOL D9. */
  probe: boolean;
  /** What is being looked at, for whoever waits. */
  say: (line: string) => void;
}

/** One layer after the other, each within its time. Rejects only with the reason of the patient's signal. */
export async function examine(patient: Patient, scope: Scope): Promise<Examined[]> {
  const all: Examined[] = [];
  for (const layer of layers) {
    if (scope.only.length > 0 && !scope.only.includes(layer)) continue;
    if (isSkipped(layer, patient, scope)) {
      all.push({ layer, state: 'skipped', ms: 0, findings: [] });
      continue;
    }
    scope.say(layer);
    const from = patient.clock.monotonic();
    const findings = await within(
      patient,
      layer,
      checkOf(layer, scope),
      scope.probe && layer === 'homeserver',
    );
    all.push({ layer, state: 'looked', ms: patient.clock.monotonic() - from, findings });
  }
  return all;
}

/** A relay's folder has neither account nor agents, and there is nobody to ask offline. */
function isSkipped(layer: Layer, { role }: Patient, { offline }: Scope): boolean {
  if (networkLayers.has(layer)) return offline || role === 'relay';
  return layer === 'cluster' && role === 'relay';
}

function checkOf(layer: Layer, scope: Scope): Check {
  const checks: Record<Layer, Check> = {
    config: checkConfig,
    disk: checkDisk,
    documents: checkDocuments,
    schema: checkSchema,
    backups: checkBackups,
    relay: checkRelays,
    homeserver: async (patient) => {
      const probed = scope.probe ? await probeHomeserver(patient, scope.say) : undefined;
      const found = await checkHomeserver(patient);
      // What was just found out counts, and not what was read before it.
      return probed === undefined
        ? found
        : [...found.filter(({ code }) => !code.startsWith('judge-')), ...probed];
    },
    platform: checkPlatform,
    cluster: (patient) => checkCluster(patient, scope.offline),
  };
  return checks[layer];
}

/** The probe waits for rate limits as long as they last; the rest is cut off. */
async function within(patient: Patient, layer: Layer, check: Check, isLong: boolean): Promise<Finding[]> {
  const { limits, clock, signal } = patient;
  const cut = new AbortController();
  const limitMs = isLong ? 20 * limits.layerMs : limits.layerMs;
  const cancel = clock.after(limitMs, () => cut.abort());
  const over = new Promise<Finding[]>((resolve, reject) => {
    cut.signal.addEventListener('abort', () => {
      const todo = 'run it again; if it stays, look at what this layer waits for';
      resolve([
        finding(
          'check-cut',
          `${layer} was not looked at to its end within ${timeText(limitMs)}`,
          todo,
          layer,
        ),
      ]);
    });
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
  try {
    signal.throwIfAborted();
    return await Promise.race([
      look({ ...patient, signal: AbortSignal.any([signal, cut.signal]) }, layer, check),
      over,
    ]);
  } finally {
    cancel();
  }
}

async function look(patient: Patient, layer: Layer, check: Check): Promise<Finding[]> {
  try {
    return await check(patient);
  } catch (error) {
    // A failure to look is a finding too: the other layers are looked at all the same.
    const seen = `${layer} could not be looked at: ${messageOf(error)}`;
    return [
      finding(
        'check-failed',
        seen,
        'DEBUG=understudy:* shows more; what could not be read may be damaged',
        layer,
      ),
    ];
  }
}
