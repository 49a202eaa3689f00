import { ClaimAsker, later, type ClaimPort } from '../../../src/claims/asker.js';
import { handOver } from '../../../src/claims/hand-over.js';
import { compareBallots, type Ballot, type FencingToken } from '../../../src/claims/token.js';
import type { ClaimAnswer, ClaimRequest } from '../../../src/claims/wire.js';
import { sleep } from '../../../src/time/clock.js';
import { SimulatedClock } from '../../simulation/clock.js';
import { seeded } from '../../storage/random.js';
import { DriftingClock } from './clock.js';
import { Judge, type Holder } from './judge.js';
import { SimulatedRelay } from './relay.js';

const LEASE_MS = 1_000;
const LONGEST_MS = 2_000;
const RELAYS = 3;
const REPLICAS = 4;
const KEYS = 3;

/** One replica: asks as the product does, over a network that loses, repeats and reorders. */
class Replica {
  readonly #seen: { token?: FencingToken } = {};
  #clock: DriftingClock;
  #asker: ClaimAsker;
  #run = 0;
  /** As its copy of the cluster's document says. */
  ballot: Ballot | undefined;

  constructor(
    private readonly name: string,
    private readonly world: World,
  ) {
    [this.#clock, this.#asker] = this.#started();
  }

  kill(): void {
    this.#clock.kill();
    this.#run += 1;
    for (const holder of this.#held.splice(0)) this.world.judge.gone(holder);
    [this.#clock, this.#asker] = this.#started();
  }

  freeze(): void {
    this.#clock.freeze();
  }

  thaw(): void {
    this.#clock.thaw();
  }

  step(ms: number): void {
    this.#clock.step(ms);
  }

  readonly #held: Holder[] = [];

  /** Claims, works, ends it in some way, and begins anew. */
  async #work(run: number): Promise<void> {
    const { world, name } = this;
    const { random, judge } = world;
    const asker = this.#asker;
    const clock = this.#clock;
    while (!world.over && run === this.#run) {
      await sleep(clock, 20 + 100 * random());
      const key = `k${world.round}-${Math.floor(random() * KEYS)}`;
      const address = { namespace: 'n', key };
      const claimed = await asker.claim(address, { leaseMs: LEASE_MS, worker: '', patienceMs: 3_000 });
      if (run !== this.#run || claimed.is !== 'granted') continue;
      const { token, lease } = claimed;
      const holder: Holder = { replica: `${name}/${run}`, key, token, believes: () => lease.leftMs > 0 };
      judge.granted(holder);
      this.#held.push(holder);
      await sleep(clock, 300 * random());
      if (random() < 0.2) await asker.renew(address, token, lease, { leaseMs: LEASE_MS, patienceMs: 500 });
      const isHeld = lease.leftMs > 0;
      // Between its look at the lease and its act it may stand still for as long as it likes.
      if (isHeld) await sleep(clock, random() < 0.2 ? 3_000 * random() : 1);
      const acted = isHeld && judge.acts(holder);
      const draw = random();
      if (acted && draw < 0.4) {
        const { is } = await asker.commit(address, token, { keepMs: 3_600_000, patienceMs: 3_000 });
        if (is === 'done') judge.committed(holder);
      } else if (draw < 0.8) {
        judge.gone(holder);
        await asker.release(address, token, { patienceMs: 1_000 });
      }
      judge.gone(holder);
    }
  }

  #started(): [DriftingClock, ClaimAsker] {
    const clock = new DriftingClock(this.world.clock, 0.99 + 0.02 * this.world.random());
    const run = this.#run;
    let requests = 0;
    const port: ClaimPort = {
      authority: () => this.ballot,
      ask: (relay, request, timeoutMs) => {
        const asked = this.world.send(relay, request, this.name);
        const late = sleep(clock, timeoutMs).then(() => undefined);
        return Promise.race([asked, late]);
      },
      seen: () => this.#seen.token,
      saw: (token) => {
        this.#seen.token = later(this.#seen.token, token);
        return Promise.resolve();
      },
      newRequestId: () => `${this.name}-${run}-${(requests += 1)}`,
    };
    const asker = new ClaimAsker(port, clock);
    queueMicrotask(() => this.world.watch(this.#work(run)));
    return [clock, asker];
  }
}

/** Relays, replicas, a document that reaches them one by one, and everything that goes wrong. */
export class World {
  readonly clock = new SimulatedClock();
  readonly judge = new Judge();
  readonly random: () => number;
  readonly #relays: SimulatedRelay[];
  readonly #replicas: Replica[];
  readonly counts = { handOvers: 0, forced: 0, kills: 0, lost: 0, repeated: 0 };
  over = false;
  round = 0;
  #document: Ballot | undefined;
  #fault: Error | undefined;
  #changing = 0;

  constructor(seed: number) {
    this.random = seeded(seed);
    const limits = { longestLeaseMs: LONGEST_MS };
    this.#relays = Array.from({ length: RELAYS }, () => new SimulatedRelay(this.clock, this.random, limits));
    this.#replicas = Array.from({ length: REPLICAS }, (_, at) => new Replica(`r${at}`, this));
  }

  async run(ms: number): Promise<void> {
    const started = Promise.all(this.#relays.map((relay) => relay.start()));
    await this.clock.advance(500);
    await started;
    this.watch(this.#change());
    for (let passed = 0; passed < ms; passed += 250) {
      this.#something();
      await this.clock.advance(250);
      if (this.#fault !== undefined) throw this.#fault;
    }
    this.over = true;
  }

  watch(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#fault ??= error instanceof Error ? error : new Error(String(error));
    });
  }

  /** Each copy arrives on its own, late, or not at all, and so does each answer. */
  async send(relay: string, request: ClaimRequest, replica: string): Promise<ClaimAnswer | undefined> {
    const { random } = this;
    const copies = random() < 0.05 ? 2 : 1;
    if (copies > 1) this.counts.repeated += 1;
    return new Promise((resolve) => {
      for (let copy = 0; copy < copies; copy += 1) {
        if (random() < 0.03) {
          this.counts.lost += 1;
          continue;
        }
        const arrives = copy === 0 ? 20 * random() : 4_000 * random();
        this.clock.after(arrives, () => {
          const to = this.#relays.find(({ id }) => id === relay);
          this.watch(
            (to?.ask(request, replica) ?? Promise.resolve(undefined)).then((answer) => {
              if (answer === undefined || random() < 0.03) return;
              this.clock.after(random() < 0.1 ? 1_500 * random() : 20 * random(), () => resolve(answer));
            }),
          );
        });
      }
    });
  }

  #something(): void {
    const { random } = this;
    const draw = random();
    const relay = this.#relays[Math.floor(random() * RELAYS)] as SimulatedRelay;
    const replica = this.#replicas[Math.floor(random() * REPLICAS)] as Replica;
    if (random() < 0.05) this.round += 1;
    if (draw < 0.06) this.#killed(relay);
    else if (draw < 0.1) this.#stopped(relay);
    else if (draw < 0.16) {
      this.counts.kills += 1;
      replica.kill();
    } else if (draw < 0.28) this.#stopped(replica);
    else if (draw < 0.33) replica.step(20_000 * (random() - 0.5));
    else if (draw < 0.37) this.watch(this.#change());
  }

  #killed(relay: SimulatedRelay): void {
    this.counts.kills += 1;
    relay.kill();
    this.clock.after(100 + 1_500 * this.random(), () => this.watch(relay.start()));
  }

  #stopped(one: { freeze(): void; thaw(): void }): void {
    one.freeze();
    this.clock.after(100 + 2_500 * this.random(), () => one.thaw());
  }

  /** Of two at once each must end well or be refused. */
  async #change(): Promise<void> {
    // The first naming seals nobody: two at once are no change, and the guarantee is the resource's alone then.
    if (this.#changing > 0 && (this.#document === undefined || this.random() < 0.8)) return;
    this.#changing += 1;
    const from = this.#document;
    const to = this.#relays[Math.floor(this.random() * RELAYS)] as SimulatedRelay;
    let next: Ballot = { term: (from?.term ?? 0) + 1, relay: to.id };
    const ask = (relay: string, request: ClaimRequest) =>
      Promise.race([this.send(relay, request, 'operator'), sleep(this.clock, 200).then(() => undefined)]);
    for (let attempt = 0; attempt < 100 && !this.over; attempt += 1) {
      const outcome = await handOver(ask, from, next);
      if (outcome.is === 'done') {
        this.counts[from === undefined ? 'forced' : 'handOvers'] += 1;
        this.#written(outcome.ballot);
        break;
      }
      const by = outcome.is === 'overtaken' ? outcome.by.term : next.term;
      next = { term: by + 1, relay: to.id };
    }
    this.#changing -= 1;
  }

  /** Into the document, where the highest ballot stands, and from there to each replica in its own time. */
  #written(ballot: Ballot): void {
    if (this.#document === undefined || compareBallots(this.#document, ballot) < 0) this.#document = ballot;
    for (const replica of this.#replicas) {
      this.clock.after(2_000 * this.random(), () => {
        if (replica.ballot === undefined || compareBallots(replica.ballot, ballot) < 0)
          replica.ballot = ballot;
      });
    }
  }
}
