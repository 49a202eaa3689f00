import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { z } from 'zod';
import { errnoOf } from './file-layer.js';

/** Which process this is, also after its pid has been given to another, or the machine has been restarted. */
export const ProcessIdentity = z.object({
  pid: z.int().positive(),
  /** Clock ticks from the machine's start to the process's; absent where there is no /proc. */
  started: z.string().optional(),
  /** Id of this run of the machine. */
  boot: z.string().optional(),
  /** The pid counts within this namespace (a container). */
  namespace: z.string().optional(),
  host: z.string().optional(),
});
export type ProcessIdentity = z.infer<typeof ProcessIdentity>;

/** `unknown`: it runs, if it does, in another container or on another machine, and cannot be seen from here. */
export type Presence = 'alive' | 'gone' | 'unknown';

export async function ownIdentity(): Promise<ProcessIdentity> {
  const [stat, boot, namespace] = await Promise.all([processStat(process.pid), bootId(), pidNamespace()]);
  return {
    pid: process.pid,
    host: hostname(),
    ...(stat && { started: stat.started }),
    ...(boot !== undefined && { boot }),
    ...(namespace !== undefined && { namespace }),
  };
}

export async function presenceOf(holder: ProcessIdentity): Promise<Presence> {
  const own = await ownIdentity();
  // One run of one machine, one namespace: its pids are ours to see, also after the machine was renamed.
  const visible = holder.boot !== undefined && holder.boot === own.boot && holder.namespace === own.namespace;
  if (!visible) {
    if (holder.host !== own.host) return 'unknown';
    // A container that is started again keeps its host name and gets a new namespace; its processes are gone.
    if (differ(holder.boot, own.boot) || differ(holder.namespace, own.namespace)) return 'gone';
  }
  if (!isRunning(holder.pid)) return 'gone';
  const stat = await processStat(holder.pid);
  if (!stat || holder.started === undefined) return own.started === undefined ? 'alive' : 'gone';
  return stat.dead || stat.started !== holder.started ? 'gone' : 'alive';
}

const differ = (one: string | undefined, other: string | undefined): boolean =>
  one !== undefined && other !== undefined && one !== other;

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: another user's process is a process too.
    return errnoOf(error) !== 'ESRCH';
  }
}

async function processStat(pid: number): Promise<{ started: string; dead: boolean } | undefined> {
  const text = await textOf(() => readFile(`/proc/${pid}/stat`, 'utf8'));
  // The command, in parentheses, may hold anything: fields are counted from the last parenthesis (proc(5)).
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, started] = [fields?.[0], fields?.[19]];
  // A zombie has closed its files; only its parent has not looked yet.
  return started === undefined ? undefined : { started, dead: state === 'Z' || state === 'X' };
}

const bootId = async () => (await textOf(() => readFile('/proc/sys/kernel/random/boot_id', 'utf8')))?.trim();

const pidNamespace = () => textOf(() => readlink('/proc/self/ns/pid'));

/** /proc is not everywhere, and not all of it is for everyone: what cannot be read is not known. */
async function textOf(read: () => Promise<string>): Promise<string | undefined> {
  try {
    return await read();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
