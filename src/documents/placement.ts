import { digest } from './digest.js';

/**
 * The shard index of a person (by mxid) or of a room that belongs to nobody (by room id), for `shards` shards
 * (PROTOCOL O5). Part of the data format: never changes for a running cluster.
 */
export function shardIndex(key: string, shards: number): number {
  return digest('understudy-shard', key).readUInt32BE(0) % shards;
}

/**
 * The mxid that begins a key: all of it, or up to the first slash after its first colon, because a localpart may
 * hold slashes and a server name may not (Matrix specification, appendices, user identifiers).
 */
export function personIn(name: string): string {
  const slash = name.indexOf('/', Math.max(name.indexOf(':'), 0));
  return slash < 0 ? name : name.slice(0, slash);
}
