import { digest } from './digest.js';

/**
 * The shard index of a person (by mxid) or of a room that belongs to nobody (by room id), for `shards` shards
 * (PROTOCOL O5). Part of the data format: never changes for a running cluster.
 */
export function shardIndex(key: string, shards: number): number {
  return digest('understudy-shard', key).readUInt32BE(0) % shards;
}
