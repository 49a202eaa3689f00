import type { ClaimLimits } from '../../../src/claims/limits.js';
import type { ClaimAnswer, ClaimRequest } from '../../../src/claims/wire.js';
import type { ClaimRecords } from '../../../src/sync/claim-records.js';
import { RelayClaims } from '../../../src/sync/relay-claims.js';
import { silentLog } from '../../../src/telemetry/log.js';
import type { SimulatedClock } from '../../simulation/clock.js';
import { DriftingClock } from './clock.js';

/** A relay's claims as the product runs them, on a disk that takes its time and can be caught in the middle. */
export class SimulatedRelay {
  readonly #disk = new Map<string, Uint8Array>();
  #claims: RelayClaims | undefined;
  #clock: DriftingClock | undefined;
  /** Saves under way: a kill leaves each done or not. */
  #saving = new Set<() => void>();
  #frozen: (() => void)[] | undefined;
  /** Of its first start. */
  id = '';

  constructor(
    private readonly world: SimulatedClock,
    private readonly random: () => number,
    private readonly limits: Partial<ClaimLimits>,
  ) {}

  get isUp(): boolean {
    return this.#claims !== undefined;
  }

  async start(): Promise<void> {
    if (this.#claims !== undefined) return;
    const clock = new DriftingClock(this.world, 0.99 + 0.02 * this.random());
    const records = this.#records();
    const claims = new RelayClaims({
      head: records,
      parts: records,
      limits: this.limits,
      clock,
      log: silentLog,
    });
    this.#claims = claims;
    this.#clock = clock;
    await claims.open();
    this.id ||= claims.relay ?? '';
  }

  kill(): void {
    this.#clock?.kill();
    this.#claims = undefined;
    this.#frozen = undefined;
    for (const save of this.#saving) if (this.random() < 0.5) save();
    this.#saving = new Set();
  }

  freeze(): void {
    if (this.#claims === undefined || this.#frozen !== undefined) return;
    this.#frozen = [];
    this.#clock?.freeze();
  }

  thaw(): void {
    const waiting = this.#frozen ?? [];
    this.#frozen = undefined;
    this.#clock?.thaw();
    for (const one of waiting) one();
  }

  /** Never answered when it is down or dies meanwhile. */
  async ask(request: ClaimRequest, replica: string): Promise<ClaimAnswer | undefined> {
    const claims = this.#claims;
    if (this.#frozen !== undefined) await new Promise<void>((done) => this.#frozen?.push(done));
    if (claims === undefined || this.#claims !== claims) return undefined;
    const answer = await claims.answer(JSON.parse(JSON.stringify(request)), replica);
    if (answer === undefined) throw new Error(`no request: ${JSON.stringify(request)}`);
    return this.#claims === claims ? answer : undefined;
  }

  #records(): ClaimRecords {
    const saving = this.#saving;
    return {
      load: (name) => Promise.resolve(this.#disk.get(name)),
      save: (name, bytes) =>
        new Promise((done) => {
          const save = () => void this.#disk.set(name, bytes);
          saving.add(save);
          this.world.after(this.random() < 0.1 ? 200 : 2, () => {
            // Of a process that is gone: what became of it was decided then.
            if (!saving.delete(save) || this.#saving !== saving) return;
            save();
            done();
          });
        }),
    };
  }
}
