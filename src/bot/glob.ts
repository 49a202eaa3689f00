/** True when `text` is `pattern`, whole, case and all, where each `*` stands for any run of characters. Linear in space, at
 * worst (pattern × text) in time, whatever either holds. */
export function matchesGlob(pattern: string, text: string): boolean {
  let [p, t] = [0, 0];
  /** Where the last `*` stood, and up to where it reaches by now. */
  let [star, reached] = [-1, 0];
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p;
      reached = t;
      p += 1;
    } else if (pattern[p] === text[t]) {
      p += 1;
      t += 1;
    } else if (star >= 0) {
      reached += 1;
      t = reached;
      p = star + 1;
    } else return false;
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}

/** An id `<sigil><local>:<server>` against a pattern of that shape, each side by itself, so that no `*` reaches over the
 * first colon: `*:example.org` is one server, whatever a localpart holds. `*` alone is every id. Ids of users, rooms and
 * servers are compared exactly, case included (Matrix spec, appendices, identifier grammar). */
export function matchesId(pattern: string, id: string): boolean {
  if (pattern === '*') return true;
  const [wanted, given] = [halves(pattern), halves(id)];
  if (wanted.server === undefined || given.server === undefined) return matchesGlob(pattern, id);
  return matchesGlob(wanted.local, given.local) && matchesGlob(wanted.server, given.server);
}

function halves(id: string): { local: string; server: string | undefined } {
  const colon = id.indexOf(':');
  if (colon < 0) return { local: id, server: undefined };
  return { local: id.slice(0, colon), server: id.slice(colon + 1) };
}
