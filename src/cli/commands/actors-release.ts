import { leafPaths } from '../../actors/state-value.js';
import { SettingsReader } from '../config/reader.js';
import { releaseAnswer } from '../inspect/actor-shapes.js';
import { askHolder, folderToLookAt } from '../inspect/holder.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';
import { UserError } from '../user-error.js';

/**
 * `understudy actors release KEY`: lets a quarantined actor go on. Through the process that holds the folder, because
 * only that one writes; a release is an event like any other and reaches every replica.
 */
export async function run(
  invocation: Invocation,
  options: Record<string, unknown>,
  key: string = '',
): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const dir = await folderToLookAt(read);
  const state = typeof options['state'] === 'string' ? { state: options['state'] } : {};
  const found = await askHolder(dir, 'release', { key, ...state });
  if (found === undefined) {
    throw new UserError(
      3,
      `no process holds ${dir}: start the replica, then release the actor (a folder alone is never written)`,
    );
  }
  const { actor } = releaseAnswer.parse(found.answer);
  process.stdout.write(
    `${printable(`${actor.key} goes on in ${leafPaths(actor.value).join(' + ') || '-'}`)}\n`,
  );
  return 0;
}
