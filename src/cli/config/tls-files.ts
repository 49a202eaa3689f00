import { readFileSync, statSync } from 'node:fs';
import type { RelayTls } from '../../sync/relay-server.js';
import { wrongSetting } from '../user-error.js';

/**
 * The certificate chain and key of a relay, read anew at each call. Throws a settings error that names the file, also
 * when somebody else may put another key there.
 */
export function readTls(paths: { cert: string; key: string }): { tls: RelayTls; warning?: string } {
  const name = 'UNDERSTUDY_RELAY_TLS_KEY_FILE';
  const tls = { cert: readPem('UNDERSTUDY_RELAY_TLS_CERT_FILE', paths.cert), key: readPem(name, paths.key) };
  const mode = statSync(paths.key).mode & 0o777;
  const shown = mode.toString(8).padStart(4, '0');
  if ((mode & 0o022) !== 0) {
    throw wrongSetting(`${name}: ${paths.key} may be changed by others (mode ${shown}): chmod 600`);
  }
  if ((mode & 0o004) === 0) return { tls };
  return {
    tls,
    warning: `${paths.key} may be read by everyone here (mode ${shown}), who could stand in for this relay: chmod 600`,
  };
}

function readPem(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw wrongSetting(`${name}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
  }
}
