/** Named counts that only rise, each named in advance so that a metric exists before its first event. */
export class Counters<Name extends string> {
  readonly #counts: Record<Name, number>;

  constructor(names: readonly Name[]) {
    this.#counts = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
  }

  add(name: Name, by = 1): void {
    this.#counts[name] += by;
  }

  snapshot(): Record<Name, number> {
    return { ...this.#counts };
  }
}
