import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { nodeFiles, type FileLayer } from '../../storage/file-layer.js';
import { SealError } from '../../storage/seal-error.js';
import { systemClock, type Clock } from '../../time/clock.js';
import {
  clusterId,
  dataDir,
  relayToken,
  relayUrls,
  storageKey,
  storageKeyPrevious,
} from '../config/settings.js';
import { documentsFolder } from '../inspect/folder.js';
import { readRecord } from '../up/record.js';
import type { Invocation } from '../process.js';
import { viewOf } from './cluster-view.js';
import { holderOf } from './holder.js';
import { usualLimits, type Limits } from './limits.js';
import type { Patient } from './patient.js';
import { GivenSettings, layered, settingsOfUp } from './settings.js';
import { readStored, type Stored } from './stored.js';

export interface PatientOptions {
  signal: AbortSignal;
  limits?: Limits;
  clock?: Clock;
  files?: FileLayer;
}

/** Finds the folder that is meant, who holds it, and the settings that its process has. Takes and changes nothing. */
export async function openPatient(invocation: Invocation, options: PatientOptions): Promise<Patient> {
  const { signal, limits = usualLimits, clock = systemClock, files = nodeFiles } = options;
  const { env, flags, configFile } = invocation;
  const own = new GivenSettings(env, flags, configFile);
  const dir = await folderOf(own.get(dataDir));
  const below = await settingsOfUp(dirname(dir), dir);
  const settings = below === undefined ? own : new GivenSettings(layered(below, env), flags, configFile);
  const id = settings.get(clusterId);
  const token = settings.get(relayToken);
  const [current, previous] = [settings.get(storageKey), settings.get(storageKeyPrevious)];
  const keys = { ...(current && { current }), ...(previous && { previous }) };
  let stored: Promise<Stored> | undefined;
  const readOnce = (): Promise<Stored> => (stored ??= readStored(dir, keys, signal));
  return {
    dir,
    role: roleOf(dir),
    settings,
    isOfUp: below !== undefined,
    clusterId: id,
    keys,
    relays: (settings.get(relayUrls) ?? []).map((url) => (token === undefined ? { url } : { url, token })),
    holder: await holderOf(dir, files, limits.answerMs),
    files,
    clock,
    limits,
    signal,
    stored: readOnce,
    view: async () => {
      try {
        return viewOf(await readOnce());
      } catch (error) {
        if (error instanceof SealError) return undefined;
        throw error;
      }
    },
  };
}

/** As the other commands find it: as set, the usual folder of a replica, or the first that `up` keeps. */
async function folderOf(given: string | undefined): Promise<string> {
  if (given !== undefined) return resolve(given);
  const usual = 'data/replica';
  if (existsSync(usual)) return resolve(usual);
  const record = await readRecord('data');
  return resolve(record?.processes.find(({ name }) => name.startsWith('replica'))?.dataDir ?? usual);
}

function roleOf(dir: string): Patient['role'] {
  if (existsSync(join(dir, 'replica.json'))) return 'replica';
  return existsSync(documentsFolder(dir)) ? 'relay' : 'nothing';
}
