import {
  type AnyEventObject,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  initialTransition,
  transition,
} from 'xstate';
import type { Ledger, WrittenEvent } from './ledger.js';

/** Where an actor must stand, in a form that compares. */
export interface Expected {
  version: number;
  /** `active`, `done`, or the code for which it stands still. */
  status: string;
  value: unknown;
  context: unknown;
  history: unknown;
  /** `name entry due` */
  timers: string[];
  /** Not done: `cause name params` */
  effects: string[];
}

export interface Standings {
  folded: Expected;
  effective: Expected;
  /** Ids of the events taken in. */
  counted: ReadonlySet<string>;
}

interface Effect {
  id: string;
  text: string;
}

interface Standing {
  version: number;
  snapshot: AnyMachineSnapshot | undefined;
  still: string | undefined;
  timers: Map<string, { entry: string; due: number; event: AnyEventObject }>;
  effects: Effect[];
  /** Events taken in so far. */
  counted: Set<string>;
}

/** An effect as it must be, whose id only the code under test knows. */
export type EffectIds = (actor: string, cause: string, name: string, params: unknown) => string;

/**
 * What must have come about: the events of each generation in (stamp, id) order through XState's pure functions, from
 * the initial state, with nothing of the code under test.
 */
export class Oracle {
  constructor(
    private readonly ledger: Ledger,
    /** Version n stands at n - 1. */
    private readonly machines: readonly AnyStateMachine[],
    private readonly effectId: EffectIds,
  ) {}

  /**
   * By actor, from the current generation's cut ('' for the first) and the heads of its document; `newest` is the
   * version that an actor is shown at, although only its next event upgrades it.
   */
  expected(cut: string, heads: readonly string[], newest: number): Map<string, Standings> {
    return new Map(
      [...this.#standings(cut, heads)].map(([actor, standing]) => {
        const upgraded = { ...standing };
        const event = { stamp: 0, id: '' } as WrittenEvent;
        if (standing.still === undefined) this.#upgrade(upgraded, event, newest);
        const { counted } = standing;
        return [actor, { folded: this.#shown(standing), effective: this.#shown(upgraded), counted }];
      }),
    );
  }

  #standings(cut: string, heads: readonly string[]): Map<string, Standing> {
    const record = this.ledger.cuts.get(cut);
    if (cut !== '' && record === undefined) throw new Error(`nobody wrote the record of cut ${cut}`);
    const standings =
      record === undefined ? new Map<string, Standing>() : this.#standings(record.parent, record.heads);
    const changes = [...this.ledger.upTo(heads)];
    for (const [actor, events] of lowest(changes.flatMap((change) => change.events))) {
      const standing = standings.get(actor) ?? unbegun();
      standings.set(actor, standing);
      const fresh = events.filter(({ id }) => !standing.counted.has(id));
      for (const event of fresh.sort((a, b) => a.stamp - b.stamp || (a.id < b.id ? -1 : 1))) {
        standing.counted.add(event.id);
        this.#take(actor, standing, event);
      }
    }
    const done = new Set(changes.flatMap((change) => change.done));
    for (const [actor, standing] of standings) {
      standing.effects = standing.effects.filter(({ id }) => !done.has(`${actor} ${id}`));
    }
    return standings;
  }

  #take(actor: string, standing: Standing, event: WrittenEvent): void {
    const before = { ...standing, timers: new Map(standing.timers), effects: [...standing.effects] };
    try {
      this.#move(actor, standing, event);
    } catch {
      // Whatever goes wrong stops this actor where it was.
      Object.assign(standing, before, { still: 'transition-failed' });
    }
  }

  #move(actor: string, standing: Standing, event: WrittenEvent): void {
    if (standing.still !== undefined) return;
    const { type, id, data, ts } = event;
    const upgrade = type === 'understudy.upgrade' ? Number(data['to']) : undefined;
    if (standing.snapshot === undefined) {
      standing.version = upgrade ?? 1;
      this.#follow(actor, standing, { ...event, id: 'init' }, initialTransition(this.#machine(standing)));
      if (upgrade !== undefined) return;
    }
    if (upgrade !== undefined) return this.#upgrade(standing, event, upgrade);
    if (type !== 'understudy.timer') return this.#give(actor, standing, event, { ...data, type, ts, id });
    const timer = standing.timers.get(String(data['name']));
    if (timer === undefined || timer.entry !== data['entry']) return;
    standing.timers.delete(String(data['name']));
    this.#give(actor, standing, event, { ...timer.event, ts, id });
  }

  #give(actor: string, standing: Standing, event: WrittenEvent, given: AnyEventObject): void {
    // An actor that is done has stopped.
    if (standing.snapshot?.status !== 'active') return;
    const [to, actions] = transition(
      this.#machine(standing),
      standing.snapshot as AnyMachineSnapshot,
      given as never,
    );
    if ((to as AnyMachineSnapshot).status === 'error') throw new Error('it failed');
    this.#follow(actor, standing, event, [to, actions]);
  }

  #follow(actor: string, standing: Standing, entry: WrittenEvent, result: readonly unknown[]): void {
    const [snapshot, actions] = result as [AnyMachineSnapshot, { type: string; params?: unknown }[]];
    standing.snapshot = snapshot;
    for (const { type, params } of actions) {
      const { id, sendId, delay, event } = (params ?? {}) as {
        id?: string;
        sendId?: string;
        delay?: number;
        event: AnyEventObject;
      };
      if (type === 'xstate.cancel') standing.timers.delete(String(sendId));
      else if (type === 'xstate.raise' && delay !== undefined) {
        standing.timers.set(id ?? event.type, { entry: entry.id, due: entry.stamp + delay, event });
      } else if (type !== 'xstate.raise') {
        const effect = {
          id: this.effectId(actor, entry.id, type, params ?? null),
          text: `${entry.id} ${type} ${JSON.stringify(params ?? null)}`,
        };
        if (!standing.effects.some((one) => one.id === effect.id)) standing.effects.push(effect);
      }
    }
    if (snapshot.status === 'done') standing.timers.clear();
  }

  /** The state stays, the context is mapped, nothing is entered; timers that the new version has too go on. */
  #upgrade(standing: Standing, event: WrittenEvent, to: number): void {
    if (to <= standing.version) return;
    standing.version = to;
    const { value, context } = standing.snapshot as AnyMachineSnapshot;
    const machine = this.#machine(standing);
    const snapshot = machine.resolveState({
      value: asDefined(machine.root, value) as string,
      context: { ...(context as object), version: to },
    }) as AnyMachineSnapshot;
    standing.snapshot = snapshot;
    const timers: Standing['timers'] = new Map();
    const nodes = snapshot._nodes as { id: string; config: { after?: object } }[];
    for (const { id, config } of snapshot.status === 'done' ? [] : nodes) {
      for (const delay of Object.keys(config.after ?? {})) {
        const name = `xstate.after.${delay}.${id}`;
        const ms = (machine.implementations.delays as Record<string, number>)[delay] ?? Number(delay);
        timers.set(
          name,
          standing.timers.get(name) ?? { entry: event.id, due: event.stamp + ms, event: { type: name } },
        );
      }
    }
    if (snapshot.status !== 'done') {
      for (const [name, timer] of standing.timers)
        if (!name.startsWith('xstate.after.')) timers.set(name, timer);
    }
    standing.timers = timers;
  }

  #machine({ version }: Standing): AnyStateMachine {
    const machine = this.machines[version - 1];
    if (machine === undefined) throw new Error(`there is no version ${version}`);
    return machine;
  }

  #shown(standing: Standing): Expected {
    const { version, snapshot, still, timers, effects } = standing;
    const saved =
      snapshot === undefined
        ? undefined
        : (this.#machine(standing).getPersistedSnapshot(snapshot) as unknown as Record<string, unknown>);
    const moves = still === undefined && saved !== undefined;
    return {
      version,
      status: still ?? snapshot?.status ?? 'unbegun',
      value: snapshot?.value,
      context: snapshot?.context,
      history: moves ? sortedHistory(saved['historyValue'] ?? {}) : {},
      timers: moves ? [...timers].map(([name, { entry, due }]) => `${name} ${entry} ${due}`).sort() : [],
      effects: effects.map(({ text }) => text).sort(),
    };
  }
}

/** An upgrade begins with the regions as the definition has them. */
function asDefined({ states }: AnyStateMachine['root'], value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const children = states as Record<string, AnyStateMachine['root']>;
  const inner = value as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(children)
      .filter(([name]) => name in inner)
      .map(([name, child]) => [name, asDefined(child, inner[name])]),
  );
}

const unbegun = (): Standing => ({
  version: 0,
  snapshot: undefined,
  still: undefined,
  timers: new Map(),
  effects: [],
  counted: new Set(),
});

/** Each event once, where it came first; by actor. */
function lowest(events: readonly WrittenEvent[]): Map<string, WrittenEvent[]> {
  const kept = new Map<string, Map<string, WrittenEvent>>();
  for (const event of events) {
    const ofActor = kept.get(event.actor) ?? new Map<string, WrittenEvent>();
    kept.set(event.actor, ofActor);
    const standing = ofActor.get(event.id);
    if (standing === undefined || isBefore(event, standing)) ofActor.set(event.id, event);
  }
  return new Map([...kept].map(([actor, ofActor]) => [actor, [...ofActor.values()]]));
}

const isBefore = (a: WrittenEvent, b: WrittenEvent): boolean =>
  a.stamp < b.stamp || (a.stamp === b.stamp && a.tie < b.tie);

/** XState remembers the same states in another order after a restore. */
export function sortedHistory(history: object): Record<string, string[]> {
  const remembered = Object.entries(history as Record<string, { id: string }[]>);
  return Object.fromEntries(remembered.map(([name, nodes]) => [name, nodes.map(({ id }) => id).sort()]));
}
