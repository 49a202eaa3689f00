import type { Tasks } from '../tasks/tasks.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import { SharedNext } from '../time/shared-next.js';
import { inSlices } from '../time/slices.js';
import { collectTasks } from './collect.js';
import { StateError } from './errors.js';
import type { StateNodePort } from './open-state.js';
import { codeOf, type Outcomes } from './outcomes.js';
import { metricsOf, type PersistedState } from './persisted-state.js';
import type { SnapshotFile } from './snapshot-file.js';
import { snapshotBytes } from './snapshot-text.js';
import type { SavedState } from './state.js';
import { isDoneWithin } from './within.js';

export interface SnapshotsContext {
  node: Pick<StateNodePort, 'actors' | 'flush'>;
  tasks: Pick<Tasks, 'sessionLogs'>;
  file: SnapshotFile;
  outcomes: Outcomes;
  /** How long the disk may take for the documents, milliseconds. */
  flushMs: number;
  clock: Clock;
  log: Log;
}

/** Saves the state: the documents first, then the snapshot, which so never shows what the disk has not. One at a time. */
export class Snapshots {
  metrics = metricsOf([]);
  last: { at: number | null; bytes: number } = { at: null, bytes: 0 };
  /** Why the last one failed. */
  fault: string | undefined;
  /** Changes that a snapshot would show, and how many of them the last one does; before the first nobody knows. */
  #changes = 1;
  #shown = 0;
  readonly #saves: SharedNext<undefined, SavedState>;

  constructor(private readonly context: SnapshotsContext) {
    this.#saves = new SharedNext(
      () => this.#write(),
      (error) => context.log.debug({ err: error }, 'an earlier save failed'),
    );
  }

  /** Something stands otherwise than in the last snapshot. */
  changed(): void {
    this.#changes += 1;
  }

  get isChanged(): boolean {
    return this.#changes !== this.#shown;
  }

  get isSaving(): boolean {
    return this.#saves.isBusy;
  }

  /** What is being saved, or waits for it. */
  async settled(): Promise<void> {
    await this.#saves.last;
  }

  /** One that holds what stands now: calls that come while another is made share the next one. */
  save(): Promise<SavedState> {
    return this.#saves.run(undefined);
  }

  /** @throws {StateError} `not-flushed`; and what the node throws. */
  async flush(): Promise<void> {
    const { node, clock, flushMs } = this.context;
    try {
      if (await isDoneWithin(node.flush(), flushMs, clock)) return;
      const message = `the disk did not take the documents within ${flushMs} ms; they are tried again`;
      throw new StateError('not-flushed', message);
    } catch (error) {
      throw this.#refused(error);
    }
  }

  async collect(): Promise<Omit<PersistedState, 'last_saved'>> {
    const { node, tasks: store, clock } = this.context;
    const tasks = await inSlices(collectTasks(node.actors), clock);
    this.metrics = metricsOf(tasks);
    const sessions = (await store.sessionLogs()).map(({ id = null, file, bytes, writtenAt }) => {
      return { id, file, bytes, updated_at: writtenAt };
    });
    return { tasks, sessions, metrics: this.metrics };
  }

  async #write(): Promise<SavedState> {
    const { file, outcomes, clock } = this.context;
    const from = clock.monotonic();
    // What changes from here on may be missing in it.
    const shown = this.#changes;
    await this.flush();
    try {
      const last_saved = clock.now();
      const state = { ...(await this.collect()), last_saved };
      const bytes = await file.write(await inSlices(snapshotBytes(state), clock));
      this.#shown = shown;
      this.last = { at: last_saved, bytes };
      this.fault = undefined;
      outcomes.done('state', { id: undefined, path: file.path, bytes, ms: clock.monotonic() - from });
      return { path: file.path, bytes, last_saved };
    } catch (error) {
      const message = `the snapshot of the state could not be written: ${codeOf(error)}`;
      throw this.#refused(new StateError('not-written', message, { cause: error }));
    }
  }

  #refused(error: unknown): unknown {
    this.fault = error instanceof Error ? error.message : String(error);
    return this.context.outcomes.refused('state', undefined, error);
  }
}
