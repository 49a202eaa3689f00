import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../../storage/json-file.js';
import { SettingsReader, type Environment } from '../config/reader.js';
import type { Setting } from '../config/settings.js';
import { readRecord } from '../up/record.js';
import { UserError } from '../user-error.js';

/** Holds no setting: what is asked of when the real file cannot be read. */
const NO_FILE = '/dev/null';

/** Settings one by one: a wrong one is remembered and counts as absent, so that the rest can be looked at. */
export class GivenSettings {
  /** By the setting's name. */
  readonly faults = new Map<string, string>();
  /** What is wrong with understudy.yaml as a whole. */
  readonly fileFault: string | undefined;
  private readonly reader: SettingsReader;

  constructor(
    readonly env: Environment,
    flags: ReadonlyMap<string, { flag: string; text: string }>,
    readonly configFile: string | undefined,
  ) {
    const opened = openReader(env, flags, configFile);
    this.reader = opened.reader;
    this.fileFault = opened.fault;
  }

  get<T>(setting: Setting<T>): T | undefined {
    try {
      return this.reader.optional(setting);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.faults.set(setting.name, error.message);
      return undefined;
    }
  }

  isGiven(setting: Setting<unknown>): boolean {
    try {
      return this.reader.isGiven(setting);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return true;
    }
  }

  /** Those that were read so far. */
  get secrets(): ReadonlySet<string> {
    return this.reader.secrets;
  }
}

function openReader(
  env: Environment,
  flags: ReadonlyMap<string, { flag: string; text: string }>,
  configFile: string | undefined,
): { reader: SettingsReader; fault?: string } {
  try {
    return { reader: new SettingsReader(env, flags, configFile) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { reader: new SettingsReader(env, flags, NO_FILE), fault: error.message };
  }
}

/**
 * The settings that `understudy up` gave the replica of this folder, from what it keeps beside it; undefined when `up`
 * did not start it. They stand under those that are given here.
 */
export async function settingsOfUp(upDir: string, dir: string): Promise<Environment | undefined> {
  const record = await readRecord(upDir);
  if (record === undefined || !record.processes.some(({ dataDir }) => dataDir === dir)) return undefined;
  const kept = (await readJson(join(upDir, 'secrets.json'), z.record(z.string(), z.string()))) ?? {};
  return {
    MATRIX_HOMESERVER_URL: record.homeserver.url,
    MATRIX_USER: record.bot,
    UNDERSTUDY_RELAY_URLS: record.relay.url,
    UNDERSTUDY_PLATFORM_URL: record.platform.url,
    UNDERSTUDY_CLUSTER_ID: kept['cluster'],
    UNDERSTUDY_RELAY_TOKEN: kept['relay'],
    UNDERSTUDY_PLATFORM_TOKEN: kept['platform'],
  };
}

/** `above` over `below`; a secret given as a file above stands for its text below. */
export function layered(below: Environment, above: Environment): Environment {
  const kept = Object.entries(below).filter(([name]) => !above[name] && !above[`${name}_FILE`]);
  return { ...above, ...Object.fromEntries(kept) };
}
