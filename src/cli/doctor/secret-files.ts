import { stat } from 'node:fs/promises';
import { errnoOf } from '../../storage/file-layer.js';
import { readSettingsFile } from '../config/file.js';
import { everySetting, yamlKey } from '../config/settings.js';
import { UserError } from '../user-error.js';
import { finding, type Finding } from './finding.js';
import type { GivenSettings } from './settings.js';

/** Files that hold a secret and that others on this machine may read. */
export async function readableSecrets(settings: GivenSettings): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const [path, what] of secretFiles(settings)) {
    const mode = await modeOf(path);
    if (mode === undefined || (mode & 0o077) === 0) continue;
    const shown = mode.toString(8).padStart(4, '0');
    found.push(
      finding('secret-readable', `${path}, which holds ${what}, has mode ${shown}`, `chmod 600 ${path}`),
    );
  }
  return found;
}

/** By path: what is secret in it. */
function secretFiles({ env, configFile }: GivenSettings): Map<string, string> {
  const files = new Map<string, string>();
  const { path: yaml, values } = settingsFile(configFile ?? env['UNDERSTUDY_CONFIG']);
  for (const one of everySetting.filter(({ secret }) => secret)) {
    const path = env[`${one.name}_FILE`] || values.get(`${yamlKey(one)}_file`);
    if (path !== undefined) files.set(path, one.name);
    if (values.has(yamlKey(one))) files.set(yaml, one.name);
  }
  const tokens = env['UNDERSTUDY_RELAY_TLS_KEY_FILE'] || values.get('relay_tls_key_file');
  if (tokens !== undefined) files.set(tokens, 'UNDERSTUDY_RELAY_TLS_KEY_FILE');
  return files;
}

/** Nothing of a file that is not well formed, which another finding says. */
function settingsFile(path: string | undefined): { path: string; values: ReadonlyMap<string, string> } {
  try {
    return readSettingsFile(path || undefined);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { path: path ?? '', values: new Map() };
  }
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode & 0o777;
  } catch (error) {
    // One that is not there or not ours to see is a wrong setting, and said as such.
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
