import type { Between, Proxy, Write } from '../../world/proxy.js';
import type { Replica } from '../../world/cluster.js';
import { type Step, stepOf, textOf } from './steps.js';

/** Where a replica is killed: a step is about to be made, or was made and its maker has not heard of it. */
export interface Boundary {
  step: Step;
  when: 'before' | 'after';
}

/** One command on its way, as the proxies see it. */
export class Passage {
  /** The steps that were passed on, by whom, in order. */
  readonly passed: { by: string; step: Step }[] = [];
  /** Who stands at the boundary. */
  heldAt: string | undefined;
  /** Whether a step is one of this command's, once the command was said. */
  names: (step: Step, write: Write, text: string) => boolean = () => false;
  readonly #reached: Promise<void>;
  readonly #reach: () => void;
  readonly #gone: Promise<void>;
  readonly #letGo: () => void;
  readonly #standing = new Set<string>();
  readonly #together: Promise<void>;
  readonly #goOn: () => void;

  constructor(readonly until: { boundary?: Boundary; together?: Step } = {}) {
    let [reach, letGo, goOn] = [() => {}, () => {}, () => {}];
    this.#reached = new Promise((resolve) => (reach = resolve));
    this.#gone = new Promise((resolve) => (letGo = resolve));
    this.#together = new Promise((resolve) => (goOn = resolve));
    [this.#reach, this.#letGo, this.#goOn] = [reach, letGo, goOn];
  }

  /** Resolves when somebody stands at the boundary, or the answer was sent. */
  get reached(): Promise<void> {
    return this.#reached;
  }

  /** Both replicas stood at the same step at the same time. */
  get met(): boolean {
    return this.#standing.size > 1;
  }

  /** The held request goes on: late, where its sender is dead. */
  letGo(): void {
    this.#letGo();
  }

  async pass(by: string, step: Step, when: Boundary['when']): Promise<void> {
    const { boundary, together } = this.until;
    if (when === 'before' && step === together) await this.#meet(by);
    if (step === boundary?.step && when === boundary.when && (this.heldAt ?? by) === by) {
      this.heldAt = by;
      this.#reach();
      await this.#gone;
    }
    if (when === 'before') this.passed.push({ by, step });
    else if (step === 'answer') this.#reach();
  }

  /** One that asks again stands there already. */
  async #meet(by: string): Promise<void> {
    this.#standing.add(by);
    if (this.met) this.#goOn();
    await this.#together;
  }
}

/** Stands between the replicas and all that they change, and holds the steps of the commands under way. */
export class Checkpoint {
  #passages: readonly Passage[] = [];
  #said: Promise<void> = Promise.resolve();

  constructor(replicas: readonly Replica[]) {
    for (const replica of replicas)
      for (const proxy of [replica.proxy, replica.platformProxy] satisfies Proxy[])
        proxy.between(this.#between(replica.name));
  }

  /** Nothing passes until every command was said, and it is known what each step of it names. */
  async watch(passages: readonly Passage[], say: () => Promise<void>): Promise<void> {
    this.#passages = passages;
    this.#said = say();
    await this.#said;
  }

  #between(replica: string): Between {
    const look = (when: Boundary['when']) => async (write: Write) => {
      const step = stepOf(write);
      if (step === undefined) return;
      await this.#said;
      const text = textOf(write);
      await this.#passages.find((one) => one.names(step, write, text))?.pass(replica, step, when);
    };
    return { arrived: look('before'), applied: look('after') };
  }
}
