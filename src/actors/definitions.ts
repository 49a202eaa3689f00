import { kinds } from '../documents/schemas/kinds.js';
import { ActorError } from './errors.js';
import { machineOf } from './key.js';
import type { Machine, Machines } from './machines.js';
import type { ActorsPort } from './port.js';

/** Which versions and definitions of machines the documents' actors were moved by. */
export class Definitions {
  readonly #highest = new Map<string, number>();
  readonly #foreign = new Set<string>();

  constructor(
    private readonly port: ActorsPort,
    private readonly machines: Machines,
  ) {}

  /**
   * Same id and version with another definition: the documents' actors were moved by other rules (DESIGN §4).
   *
   * @throws {ActorError} `definition-changed`.
   */
  assertSame(machine: Machine): void {
    for (const recordKey of this.port.keys('actor')) {
      const key = recordKey.slice(kinds.actor.prefix.length);
      if (machineOf(key) !== machine.id) continue;
      const saved = this.#saved(recordKey);
      this.seen(machine.id, saved?.version);
      if (saved === undefined || saved.version !== machine.version || saved.hash === machine.hash) continue;
      throw new ActorError(
        'definition-changed',
        `machine ${machine.id} version ${machine.version} has another definition than the one ${key} was moved by: raise the version and say how to migrate`,
      );
    }
  }

  /** A replica that runs another definition under the same version: said, because their folds may differ. */
  changed(recordKey: string): void {
    const key = recordKey.slice(kinds.actor.prefix.length);
    const saved = this.#saved(recordKey);
    const machine = saved && this.machines.version(machineOf(key), saved.version);
    if (machine === undefined || machine.hash === saved?.hash || this.#foreign.has(machine.id)) return;
    this.#foreign.add(machine.id);
    this.port.log.error(
      { machine: machine.id, version: machine.version, actor: key },
      'another replica runs this machine version with another definition: give all replicas the same, or raise the version',
    );
  }

  /** An actor was upgraded to that version. */
  seen(machine: string, version: unknown): void {
    if (typeof version !== 'number') return;
    this.#highest.set(machine, Math.max(version, this.#highest.get(machine) ?? 0));
  }

  /** Registered machines of which the documents hold a version that is not registered here. */
  newer(): string[] {
    return [...this.#highest]
      .filter(([id]) => this.#isBehind(id))
      .map(([id, version]) => `${id} version ${version}`);
  }

  /** Which of these machines are not registered here, or not in the version that the documents hold. */
  lacking(machines: Iterable<string>): string[] {
    return [...new Set(machines)]
      .filter((id) => this.machines.latest(id) === undefined || this.#isBehind(id))
      .sort();
  }

  #isBehind(id: string): boolean {
    return (this.#highest.get(id) ?? 0) > (this.machines.latest(id)?.version ?? Infinity);
  }

  #saved(recordKey: string): { version: number; hash: string } | undefined {
    const state = this.port.provenance('actor', recordKey)?.['current_state']?.value;
    return kinds.actor.fields.current_state.schema.safeParse(state).data;
  }
}
