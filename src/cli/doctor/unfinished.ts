import { recordsOf, type ClusterView } from './cluster-view.js';
import { counted, finding, some, timeText, type Finding } from './finding.js';
import { readDeliveryJournal } from './journal-look.js';
import { JournalError } from '../../storage/journal-error.js';
import type { JournalState } from '../../bot/journal.js';
import type { Patient } from './patient.js';

/** What was begun and has not ended for longer than it should take. */
export async function checkUnfinished(patient: Patient, view: ClusterView): Promise<Finding[]> {
  return [...(await unsettled(patient, view)), ...openRuns(patient, view)];
}

/** Sources of this replica's journal that no document calls settled. */
async function unsettled(patient: Patient, view: ClusterView): Promise<Finding[]> {
  const { clock, limits } = patient;
  const marks = recordsOf(view, 'mark');
  const sources = [...((await journalState(patient))?.sources.values() ?? [])].map(({ ref }) => ref);
  const old = sources.filter(
    ({ id, room, ts }) => clock.now() - ts > limits.unsettledMs && !marks.has(`mark:${room} ${id}`),
  );
  if (old.length === 0) return [];
  const oldest = Math.min(...old.map(({ ts }) => ts));
  const seen = `${counted(old.length, 'prompt')} or commands wait for longer than ${timeText(limits.unsettledMs)} (the oldest for ${timeText(clock.now() - oldest)}): ${some(old.map(({ id }) => id))}`;
  return [
    finding(
      'source-unsettled',
      seen,
      'look whether a replica runs and is ready, and whether homeserver and platform answer',
    ),
  ];
}

/** None where the journal cannot be read, which the layer of the disk says. */
async function journalState({ dir, files }: Patient): Promise<JournalState | undefined> {
  try {
    return (await readDeliveryJournal(dir, files))?.state;
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    return undefined;
  }
}

/** Agent runs that nobody has ended: their actor says active. */
function openRuns({ clock, limits }: Patient, view: ClusterView): Finding[] {
  const open = [...recordsOf(view, 'actor')].flatMap(([key, record]) => {
    const entry = record.get('current_state');
    const { status } = (entry?.value ?? {}) as { status?: unknown };
    const isOld = entry !== undefined && clock.now() - entry.stamp > limits.runMs;
    return key.startsWith('actor:run/') && status === 'active' && isOld ? [key.slice('actor:'.length)] : [];
  });
  if (open.length === 0) return [];
  const seen = `${counted(open.length, 'agent run')} without a sign of life for ${timeText(limits.runMs)}: ${some(open)}`;
  return [
    finding(
      'run-open',
      seen,
      '`understudy history KEY` shows where each stands; `!cancel` in its room ends it',
    ),
  ];
}
