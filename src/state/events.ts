import type { MigratedEvent } from '../node/migrations/status.js';
import type { DocumentRecovered } from '../node/node-events.js';
import type { Log } from '../telemetry/log.js';

/** `documents`: what the node writes by itself, at every change. */
export type SavedThing = 'state' | 'task' | 'session-log' | 'report' | 'documents';

/** What a state service tells, by the name of the event; times in milliseconds. */
export interface StateEvents {
  /** It is on disk. `documents`: the disk takes again what it had refused. */
  'state:saved': {
    readonly what: SavedThing;
    /** Of the task, session or report. */
    readonly id: string | undefined;
    readonly path: string | undefined;
    readonly bytes: number | undefined;
    readonly at: number;
    readonly ms: number;
  };
  'state:loaded': {
    readonly tasks: number;
    readonly sessions: number;
    readonly last_saved: number | null;
    readonly at: number;
    readonly ms: number;
  };
  /** The disk refused; what stood there before stands. `documents`: kept in memory, and tried again by itself. */
  'state:save-error': {
    readonly what: SavedThing;
    readonly id: string | undefined;
    /** An errno name such as `ENOSPC`, or a code of an error of ours. */
    readonly code: string;
    readonly message: string;
    readonly at: number;
  };
  'autosave:triggered': {
    /** Since the last snapshot: without it none is written. */
    readonly changed: boolean;
    readonly at: number;
  };
  /** `snapshot-quarantined`: the snapshot was damaged, was put aside, and is made anew from the documents. */
  'state:recovered': Pick<DocumentRecovered, 'document' | 'reason' | 'quarantined'> & {
    readonly step: DocumentRecovered['step'] | 'snapshot-quarantined';
  };
  'state:migrated': Omit<MigratedEvent, 'type'>;
}
export type StateEventName = keyof StateEvents;

type Listener<Name extends StateEventName> = (event: StateEvents[Name]) => void;

/** Mostly they happen while the node opens, before anybody can listen. */
const KEPT: ReadonlySet<StateEventName> = new Set(['state:recovered', 'state:migrated']);
const MOST_KEPT = 1000;

/**
 * Tells listeners what happened. One that throws harms neither the others nor the work that is told of: it is counted
 * and logged. Recoveries and migrations of before the first listener to them are told to that one.
 */
export class StateEmitter {
  /** Calls of listeners that threw. */
  failed = 0;
  readonly #listeners = new Map<StateEventName, Set<Listener<never>>>();
  readonly #unheard = new Map<StateEventName, StateEvents[StateEventName][]>();

  constructor(private readonly log: Log) {}

  on<Name extends StateEventName>(name: Name, listener: Listener<Name>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    const unheard = this.#unheard.get(name) ?? [];
    this.#unheard.delete(name);
    for (const event of unheard) this.#tell(name, listener, event as StateEvents[Name]);
    return () => void listeners.delete(listener);
  }

  emit<Name extends StateEventName>(name: Name, event: StateEvents[Name]): void {
    const listeners = [...(this.#listeners.get(name) ?? [])] as Listener<Name>[];
    if (listeners.length === 0 && KEPT.has(name)) this.#keep(name, event);
    for (const listener of listeners) this.#tell(name, listener, event);
  }

  #keep(name: StateEventName, event: StateEvents[StateEventName]): void {
    const kept = this.#unheard.get(name) ?? [];
    kept.push(event);
    if (kept.length > MOST_KEPT) kept.shift();
    this.#unheard.set(name, kept);
  }

  #tell<Name extends StateEventName>(name: Name, listener: Listener<Name>, event: StateEvents[Name]): void {
    try {
      listener(event);
    } catch (error) {
      this.failed += 1;
      this.log.error({ err: error, event: name }, 'a listener of state events threw');
    }
  }
}
