import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { forgetAnswer, statusAnswer, type ForgetAnswer } from '../../node/erasure/questions.js';
import { systemClock } from '../../time/clock.js';
import { SettingsReader } from '../config/reader.js';
import { duration } from '../config/values.js';
import { askErasure, type AskErasure } from '../forget/asking.js';
import { remainsIn, resultLines, wouldLines } from '../forget/words.js';
import { folderToLookAt } from '../inspect/holder.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';
import { UserError, wrongSetting } from '../user-error.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;
const LOOK_MS = 500;
/** Between two lines on stderr for whoever waits, milliseconds. */
const SAY_MS = 5_000;

type Status = ForgetAnswer['status'];

/** `understudy forget MXID`: by the process that holds the folder; in the folder itself when there is none. */
export async function run(
  invocation: Invocation,
  options: Record<string, unknown>,
  user: string = '',
): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const [isDry, isJson] = [options['dryRun'] === true, options['json'] === true];
  const wait = duration.safeParse(options['wait']);
  if (!wait.success) throw wrongSetting('--wait: a duration, as in 30s or 5m');
  const dir = await folderToLookAt(read);
  const asking = await askErasure(dir, read);
  try {
    const planned = forgetAnswer.parse(await asking.ask('forget', { user, dryRun: true }));
    if (isDry) {
      say(isJson, { data_dir: dir, user, dry_run: true, ...planned }, wouldLines(user, planned));
      return 0;
    }
    if (options['yes'] !== true) await confirmed(user, planned);
    const { found, status: first } = forgetAnswer.parse(await asking.ask('forget', { user }));
    if (!isJson) process.stderr.write(`… recorded on this replica: ${printable(user)} is forgotten\n`);
    const status = asking.isRunning ? await followed(asking, user, first, wait.data) : first;
    const remaining = remainsIn(status, { earlier: found.earlier_generations, isRunning: asking.isRunning });
    say(
      isJson,
      { data_dir: dir, user, dry_run: false, found, status, done: isDone(status), remaining },
      resultLines(user, { found, status }, remaining),
    );
    return 0;
  } finally {
    await asking.close();
  }
}

/** Until history and contexts are gone, or the time is over: it goes on without anybody who waits. */
async function followed(asking: AskErasure, user: string, first: Status, waitMs: number): Promise<Status> {
  const from = systemClock.monotonic();
  let [status, said] = [first, from];
  while (!isDone(status) && systemClock.monotonic() - from < waitMs) {
    await sleep(LOOK_MS);
    status = statusAnswer.parse(await asking.ask('forgotten', { user }));
    if (systemClock.monotonic() - said < SAY_MS) continue;
    said = systemClock.monotonic();
    process.stderr.write(
      `… ${status.shards.length} shards to cut, ${status.contexts.owed} contexts to delete at the platform\n`,
    );
  }
  return status;
}

const isDone = ({ shards, contexts, at_a_relay }: Status): boolean =>
  shards.length === 0 && contexts.owed === 0 && at_a_relay !== false;

async function confirmed(user: string, planned: ForgetAnswer): Promise<void> {
  if (!process.stdin.isTTY)
    throw wrongSetting('nobody is there to be asked: add --yes, or --dry-run to see what would go');
  process.stderr.write(`${printable(wouldLines(user, planned).join('\n'))}\n`);
  const asked = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const said = await asked.question(`There is no way back. Forget ${printable(user)}? (yes/no) `);
    if (said.trim().toLowerCase() !== 'yes') throw new UserError(1, 'nothing was changed');
  } finally {
    asked.close();
  }
}

function say(isJson: boolean, output: object, lines: readonly string[]): void {
  const text = isJson ? JSON.stringify({ version, ...output }, undefined, 2) : printable(lines.join('\n'));
  process.stdout.write(`${text}\n`);
}
