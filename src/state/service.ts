import type { NodeEvent } from '../node/node-events.js';
import type { LogEntry } from '../tasks/run-machine.js';
import type { Task, UnreadableTask } from '../tasks/task.js';
import type { Tasks } from '../tasks/tasks.js';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';
import { StateError } from './errors.js';
import type { StateEmitter, StateEventName, StateEvents } from './events.js';
import type { StateNodePort } from './open-state.js';
import { codeOf, type Outcomes } from './outcomes.js';
import type { PersistedState } from './persisted-state.js';
import { type ReportFormat, reportFormats, type Reports } from './reports.js';
import type { SnapshotFile } from './snapshot-file.js';
import type { Snapshots } from './snapshots.js';
import type { SavedState, State, StateStatus } from './state.js';

export interface StateParts {
  node: StateNodePort;
  tasks: Tasks;
  reports: Reports;
  file: SnapshotFile;
  snapshots: Snapshots;
  outcomes: Outcomes;
  emitter: StateEmitter;
  autosaveMs: number;
  clock: Clock;
  log: Log;
}

/** {@link State} over a node, whose documents are the only truth: what this writes beside them is a copy to look at. */
export class StateService implements State {
  readonly #stops: Cancel[] = [];
  #autosaves = 0;
  #recovered = 0;
  #shutdown: Promise<boolean> | undefined;

  constructor(private readonly parts: StateParts) {}

  /** Called once, by `openState`. */
  async open(): Promise<void> {
    const { node, file, snapshots, clock, autosaveMs } = this.parts;
    await file.removeLeftover();
    snapshots.last.at = await this.#lastSaved();
    this.#stops.push(
      node.onEvent((event) => this.#ofNode(event)),
      node.onChange(({ kind, key }) => {
        const isTask = (kind === 'event' || kind === 'base') && key.startsWith(`${kind}:run/`);
        if (isTask) snapshots.changed();
      }),
    );
    if (autosaveMs > 0) this.#stops.push(clock.every(autosaveMs, () => this.#autosave()));
  }

  on<Name extends StateEventName>(name: Name, listener: (event: StateEvents[Name]) => void): () => void {
    return this.parts.emitter.on(name, listener);
  }

  async saveState(): Promise<SavedState> {
    this.#assertOpen();
    return this.parts.snapshots.save();
  }

  async loadState(): Promise<PersistedState> {
    this.#assertOpen();
    const { snapshots, clock, emitter } = this.parts;
    const from = clock.monotonic();
    // Of the file, and not of memory: it says whether there is one to be read.
    const last_saved = await this.#lastSaved();
    const state = { ...(await snapshots.collect()), last_saved };
    const [tasks, sessions] = [state.tasks.length, state.sessions.length];
    const ms = clock.monotonic() - from;
    emitter.emit('state:loaded', { tasks, sessions, last_saved, at: clock.now(), ms });
    return state;
  }

  async saveTask(task: Task): Promise<void> {
    this.#assertOpen();
    const { outcomes, tasks } = this.parts;
    // What was given is looked at where it is saved.
    const id = String((task as Task | undefined)?.id);
    await outcomes.of('task', id, () => tasks.saveTask(task));
  }

  loadTasks(): Task[] {
    return this.parts.tasks.loadTasks();
  }

  unreadableTasks(): UnreadableTask[] {
    return this.parts.tasks.unreadableTasks();
  }

  async deleteTask(id: string): Promise<boolean> {
    this.#assertOpen();
    const { outcomes, tasks } = this.parts;
    return outcomes.of('task', id, () => tasks.deleteTask(id));
  }

  async saveSessionLog(session: string, lines: readonly LogEntry[]): Promise<void> {
    this.#assertOpen();
    const { outcomes, tasks, snapshots } = this.parts;
    await outcomes.of('session-log', session, () => tasks.saveSessionLog(session, lines));
    snapshots.changed();
  }

  async saveReport(id: string, content: string | Uint8Array, format: ReportFormat = 'md'): Promise<string> {
    this.#assertOpen();
    const { outcomes, reports } = this.parts;
    const isContent = typeof content === 'string' || content instanceof Uint8Array;
    if (!isContent || !reportFormats.includes(format)) {
      const formats = reportFormats.join(', ');
      throw new StateError('invalid-report', `a report is text or bytes, in one of the formats ${formats}`);
    }
    return outcomes.of('report', id, async () => {
      try {
        return await reports.save(id, content, format);
      } catch (error) {
        const message = `a report could not be written: ${codeOf(error)}`;
        throw new StateError('not-written', message, { cause: error });
      }
    });
  }

  status(): StateStatus {
    const { emitter, outcomes, snapshots } = this.parts;
    return {
      lastSavedAt: snapshots.last.at,
      snapshotBytes: snapshots.last.bytes,
      saved: outcomes.saved,
      failed: outcomes.failed,
      autosaves: this.#autosaves,
      recovered: this.#recovered,
      listenersFailed: emitter.failed,
      fault: snapshots.fault,
      metrics: snapshots.metrics,
    };
  }

  shutdown(): Promise<boolean> {
    this.#shutdown ??= this.#end();
    return this.#shutdown;
  }

  async #end(): Promise<boolean> {
    const { log, reports, snapshots } = this.parts;
    for (const stop of this.#stops) stop();
    await reports.settled();
    await snapshots.settled().catch((error: unknown) => log.debug({ err: error }, 'an earlier save failed'));
    try {
      if (snapshots.isChanged) await snapshots.save();
      else await snapshots.flush();
      return true;
    } catch (error) {
      log.warn({ err: error }, 'the last save of the state failed; what was acknowledged is on disk');
      return false;
    }
  }

  #autosave(): void {
    const { clock, emitter, log, snapshots } = this.parts;
    // The one that a slow disk holds up is the one that would be made.
    if (snapshots.isSaving) return;
    this.#autosaves += 1;
    const changed = snapshots.isChanged;
    emitter.emit('autosave:triggered', { changed, at: clock.now() });
    const saved = changed ? snapshots.save() : snapshots.flush();
    saved.catch((error: unknown) =>
      log.debug({ err: error }, 'an auto-save failed; the next one tries again'),
    );
  }

  async #lastSaved(): Promise<number | null> {
    const read = await this.parts.file.read();
    if (read.is === 'damaged') {
      this.parts.snapshots.changed();
      const { reason, quarantined } = read;
      this.#tellRecovered({ step: 'snapshot-quarantined', document: undefined, reason, quarantined });
    }
    return read.is === 'good' ? read.state.last_saved : null;
  }

  #ofNode(event: NodeEvent): void {
    const { clock, emitter } = this.parts;
    const of = { what: 'documents', id: undefined, at: clock.now() } as const;
    switch (event.type) {
      case 'state:recovered': {
        const { step, document, reason, quarantined } = event;
        return this.#tellRecovered({ step, document, reason, quarantined });
      }
      case 'state:migrated': {
        const { document, from, to, records, backup } = event;
        return emitter.emit('state:migrated', { document, from, to, records, backup });
      }
      case 'state:save-error': {
        const { code, failed, retryMs } = event;
        const message = `${failed} writes of documents were refused; tried again in ${retryMs} ms`;
        return emitter.emit('state:save-error', { ...of, code, message });
      }
      case 'state:save-restored':
        return emitter.emit('state:saved', { ...of, path: undefined, bytes: undefined, ms: 0 });
    }
  }

  #tellRecovered(event: StateEvents['state:recovered']): void {
    this.#recovered += 1;
    this.parts.emitter.emit('state:recovered', event);
  }

  #assertOpen(): void {
    if (this.#shutdown !== undefined) throw new StateError('closed', 'the state service was shut down');
  }
}
