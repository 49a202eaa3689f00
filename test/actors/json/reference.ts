/**
 * A second reading of the file format, for compound states, by hand and without XState: what a machine does with one
 * event. Slow and plain on purpose.
 */
type Value = null | boolean | number | string;
export type Fields = Record<string, Value>;
export type Schema = {
  properties?: Record<string, { minimum?: number; maximum?: number; const?: Value; type?: string }>;
  required?: string[];
  not?: Schema;
  anyOf?: Schema[];
};
export interface Branch {
  target?: string;
  guard?: Schema | { context?: Schema; event?: Schema };
  assign?: Record<
    string,
    { set?: Value; event?: string; add?: number | { event: string }; subtract?: number }
  >;
  actions?: (string | { type: string; params: Fields })[];
  reenter?: boolean;
}
export interface State {
  type?: 'final';
  initial?: string;
  states?: Record<string, State>;
  on?: Record<string, Branch | Branch[]>;
  after?: Record<string, Branch>;
  always?: Branch[];
  onDone?: Branch;
  entry?: string[];
  exit?: string[];
}
export interface Content extends State {
  id: string;
  version: number;
  context: Fields;
  events: Record<string, string[]>;
}
export type Event = { type: string; [field: string]: Value };

interface Node {
  path: string[];
  state: State;
}

export class Reference {
  context: Fields;
  done = false;
  /** Names and parameters, in the order in which they came about. */
  effects: string[] = [];
  readonly #content: Content;
  #leaf: string[] = [];

  constructor(content: Content) {
    this.#content = content;
    this.context = content.context;
    this.#perform(content.entry ?? []);
    this.#enter([], this.#initialLeaf([]));
    this.#settle();
  }

  get leaf(): string {
    return this.#leaf.join('.');
  }

  /** `after` names the state whose delay is over. */
  send(event: Event, after?: { path: string; delay: string }): void {
    if (this.done) return;
    for (const node of this.#active()) {
      const waited = after?.path === node.path.join('.') ? node.state.after?.[after.delay] : undefined;
      const found = after === undefined ? node.state.on?.[event.type] : waited;
      const taken = [found ?? []].flat().find((branch) => this.#lets(branch, event));
      if (taken === undefined) continue;
      this.#take(node.path, taken, event);
      return this.#settle();
    }
  }

  #settle(): void {
    for (;;) {
      const last = this.#active()[0];
      const eager = last?.state.always?.find((branch) => this.#lets(branch, { type: '' }));
      if (last && eager) this.#take(last.path, eager, { type: '' });
      else if (!this.#complete()) return;
    }
  }

  #finished: string | undefined;

  /** A final state is over for the state around it, once for each time that it is entered. */
  #complete(): boolean {
    const { leaf } = this;
    if (this.#finished !== leaf || this.done) return false;
    this.#finished = undefined;
    const around = this.#leaf.slice(0, -1);
    const { onDone } = this.#at(around);
    if (onDone === undefined || !this.#lets(onDone, { type: '' })) return false;
    this.#take(around, onDone, { type: '' });
    return true;
  }

  #take(source: string[], { target, assign = {}, actions = [], reenter }: Branch, event: Event): void {
    const change = (): void => {
      const before = this.context;
      const after = { ...before };
      for (const [field, { set, event: from, add, subtract }] of Object.entries(assign)) {
        if (set !== undefined) after[field] = set;
        if (from !== undefined && event[from] !== undefined) after[field] = event[from];
        const amount = typeof add === 'object' ? event[add.event] : add;
        if (amount !== undefined) after[field] = Number(before[field]) + Number(amount);
        if (subtract !== undefined) after[field] = Number(before[field]) - subtract;
      }
      this.context = after;
      this.#perform(actions);
    };
    if (target === undefined) return change();
    const to = this.#resolve(source, target);
    const domain = !reenter && startsWith(to, source) ? source : common(source, to);
    this.#exit(domain);
    change();
    this.#enter(domain, this.#initialLeaf(to));
  }

  #exit(domain: string[]): void {
    for (const { path, state } of this.#active()) {
      if (path.length > domain.length) this.#perform(state.exit ?? []);
    }
  }

  #enter(domain: string[], leaf: string[]): void {
    this.#leaf = leaf;
    for (let length = domain.length + 1; length <= leaf.length; length += 1) {
      this.#perform(this.#at(leaf.slice(0, length)).entry ?? []);
    }
    if (this.#at(leaf).type !== 'final' || leaf.length === domain.length) return;
    this.#finished = this.leaf;
    if (leaf.length > 1) return;
    this.done = true;
    for (const { state } of this.#active()) this.#perform(state.exit ?? []);
  }

  #perform(actions: NonNullable<Branch['actions']>): void {
    for (const action of actions) {
      const { type, params } = typeof action === 'string' ? { type: action, params: undefined } : action;
      this.effects.push(`${type} ${JSON.stringify(params ?? null)}`);
    }
  }

  /** Innermost first, the machine itself last. */
  #active(): Node[] {
    return Array.from({ length: this.#leaf.length + 1 }, (_, depth) => {
      const path = this.#leaf.slice(0, this.#leaf.length - depth);
      return { path, state: this.#at(path) };
    });
  }

  #at(path: string[]): State {
    let state: State = this.#content;
    for (const name of path) state = state.states![name]!;
    return state;
  }

  #initialLeaf(path: string[]): string[] {
    const { initial } = this.#at(path);
    return initial === undefined ? path : this.#initialLeaf([...path, initial]);
  }

  #resolve(source: string[], target: string): string[] {
    if (target.startsWith('#')) return target.split('.').slice(1);
    if (target.startsWith('.')) return [...source, ...target.slice(1).split('.')];
    return [...source.slice(0, -1), ...target.split('.')];
  }

  #lets({ guard }: Branch, event: Event): boolean {
    if (guard === undefined) return true;
    const split = 'context' in guard || 'event' in guard;
    const { context, event: ofEvent } = (split ? guard : { context: guard }) as {
      context?: Schema;
      event?: Schema;
    };
    return (!context || fits(context, this.context)) && (!ofEvent || fits(ofEvent, event));
  }
}

function fits(schema: Schema, value: Record<string, Value>): boolean {
  const members = Object.entries(schema.properties ?? {}).every(([name, rule]) => {
    const member = value[name];
    if (member === undefined) return true;
    if (rule.type !== undefined && typeof member !== rule.type) return false;
    if ('const' in rule && member !== rule.const) return false;
    if (typeof member !== 'number') return true;
    return !(member < (rule.minimum ?? -Infinity)) && !(member > (rule.maximum ?? Infinity));
  });
  const present = (schema.required ?? []).every((name) => value[name] !== undefined);
  const not = schema.not === undefined || !fits(schema.not, value);
  return (
    members && present && not && (schema.anyOf === undefined || schema.anyOf.some((one) => fits(one, value)))
  );
}

const startsWith = (path: string[], head: string[]): boolean =>
  head.every((name, index) => path[index] === name);

/** The innermost state that lies around both. */
function common(one: string[], other: string[]): string[] {
  let length = 0;
  while (length < Math.min(one.length, other.length) - 1 && one[length] === other[length]) length += 1;
  return one.slice(0, length);
}
