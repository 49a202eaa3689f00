import type { Cut } from './cut.js';

/**
 * The cuts that count, generation by generation: of those that follow the chosen one, the first by (at, id), and
 * before all others one that is settled, or that a settled one rests on. A pure function of the records of one
 * shard, in whatever order they came (PROTOCOL A6).
 *
 * Settled comes first because what lies before a settled cut may be gone from every disk. Nobody settles a cut
 * while a member that may hold another one has not moved; one that was away so long that it is no member any more
 * has to give way when it is back.
 */
export function chainOf(cuts: Iterable<Cut>): Cut[] {
  const all = [...new Map([...cuts].map((cut) => [cut.id, cut])).values()];
  const settled = settledOf(all);
  const chain: Cut[] = [];
  for (let parent = ''; ;) {
    const generation = chain.length + 1;
    const [first] = all
      .filter((cut) => cut.parent === parent && cut.generation === generation)
      .sort(
        (a, b) =>
          Number(settled.has(b.id)) - Number(settled.has(a.id)) || a.at - b.at || (a.id < b.id ? -1 : 1),
      );
    if (first === undefined) return chain;
    chain.push(first);
    parent = first.id;
  }
}

/** Ids of the settled cuts, and of those that they rest on. */
export function settledOf(cuts: readonly Cut[]): ReadonlySet<string> {
  const byId = new Map(cuts.map((cut) => [cut.id, cut]));
  const settled = new Set<string>();
  for (const cut of cuts.filter((one) => one.settled)) {
    for (
      let one: Cut | undefined = cut;
      one !== undefined && !settled.has(one.id);
      one = byId.get(one.parent)
    ) {
      settled.add(one.id);
    }
  }
  return settled;
}
