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
  const all = [...byName(cuts).values()];
  const settled = settledOf(all);
  const chain: Cut[] = [];
  for (let parent = ''; ;) {
    const generation = chain.length + 1;
    const [first] = all
      .filter((cut) => cut.parent === parent && cut.generation === generation)
      .sort(
        (a, b) => Number(settled.has(b)) - Number(settled.has(a)) || a.at - b.at || (a.id < b.id ? -1 : 1),
      );
    if (first === undefined) return chain;
    chain.push(first);
    parent = first.id;
  }
}

/** The settled cuts, and those that they rest on. */
export function settledOf(cuts: Iterable<Cut>): ReadonlySet<Cut> {
  const named = byName(cuts);
  const settled = new Set<Cut>();
  for (const cut of [...named.values()].filter((one) => one.settled)) {
    let one: Cut | undefined = cut;
    while (one !== undefined && !settled.has(one)) {
      settled.add(one);
      one = named.get(nameOf(one.generation - 1, one.parent));
    }
  }
  return settled;
}

/** The generation stands beside the id, which does not hash it: a record may claim another one for the same cut. */
function byName(cuts: Iterable<Cut>): Map<string, Cut> {
  return new Map([...cuts].map((cut) => [nameOf(cut.generation, cut.id), cut]));
}

function nameOf(generation: number, id: string): string {
  return `${generation}/${id}`;
}
