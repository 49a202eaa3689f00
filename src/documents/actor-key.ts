/**
 * An actor's key is `<machine id>/<place>[/<rest>]`, as in `conversation/!room:example.org`,
 * `onboarding/@alice:example.org`, `order/1234`. It has no white space, so that `<actor key> <event id>` can be
 * split again. The place says in which shard the actor lives: a person's, a room's, or its own.
 */
export interface ActorKey {
  machine: string;
  place: string;
}

const MAX_LENGTH = 512;

/** Undefined for what is no actor key. */
export function parseActorKey(key: string): ActorKey | undefined {
  if (key.length > MAX_LENGTH || /\s/u.test(key)) return undefined;
  const slash = key.indexOf('/');
  const machine = key.slice(0, Math.max(slash, 0));
  const place = placeIn(key.slice(slash + 1));
  return slash > 0 && place.length > 0 ? { machine, place } : undefined;
}

/** A localpart may hold slashes and a server name may not (Matrix specification, appendices, identifier grammar). */
function placeIn(rest: string): string {
  const slash = rest.indexOf('/', rest.startsWith('@') ? Math.max(rest.indexOf(':'), 0) : 0);
  return slash < 0 ? rest : rest.slice(0, slash);
}

/** The actor key that begins the key of an event or done mark, and what follows it. */
export function splitActorKey(name: string): { actor: string; id: string } | undefined {
  const space = name.indexOf(' ');
  return space <= 0 || space === name.length - 1
    ? undefined
    : { actor: name.slice(0, space), id: name.slice(space + 1) };
}
