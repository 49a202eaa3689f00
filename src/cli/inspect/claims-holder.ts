import { SettingsReader } from '../config/reader.js';
import type { Invocation } from '../process.js';
import { UserError } from '../user-error.js';
import { askHolder, folderToLookAt } from './holder.js';

/** The answer of the replica that runs: only one that is connected to relays can ask them about claims. */
export async function askReplica(
  invocation: Invocation,
  method: string,
  params: Record<string, unknown> = {},
): Promise<unknown> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const dir = await folderToLookAt(read);
  const found = await askHolder(dir, method, params);
  if (found !== undefined) return found.answer;
  throw new UserError(3, `no process holds ${dir}: start the replica, for only that one can ask its relays`);
}

export const secondsOf = (ms: number): string => `${Math.ceil(ms / 1000)} s`;
