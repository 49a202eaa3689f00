/** One PUT of an event that some client made through a proxy. */
export interface Put {
  client: string;
  /** Transaction id: the last part of the path. */
  txn: string;
  path: string;
  body: unknown;
  arrivedAt: number;
  /** When the homeserver had answered; missing while it has not, or never did. */
  answeredAt?: number;
  status?: number;
}

/** Every PUT of an event that passed the proxies which share this log, in the order of arrival. */
export class PutLog {
  readonly puts: Put[] = [];

  byTxn(): Map<string, Put[]> {
    const found = new Map<string, Put[]>();
    for (const put of this.puts) found.set(put.txn, [...(found.get(put.txn) ?? []), put]);
    return found;
  }

  /** Transaction ids under which the homeserver was asked more than once. */
  duplicates(): string[] {
    return [...this.byTxn()].filter(([, puts]) => puts.length > 1).map(([txn]) => txn);
  }

  /** Those of them that two different clients used: a race that the homeserver decided. */
  raced(): string[] {
    return this.duplicates().filter(
      (txn) =>
        new Set(
          this.byTxn()
            .get(txn)
            ?.map(({ client }) => client),
        ).size > 1,
    );
  }

  /** Those of them whose second PUT arrived before the first was answered. */
  overlapping(): string[] {
    return this.duplicates().filter((txn) => {
      const [first, ...later] = this.byTxn().get(txn) ?? [];
      return later.some((put) => put.arrivedAt < (first?.answeredAt ?? Infinity));
    });
  }
}
