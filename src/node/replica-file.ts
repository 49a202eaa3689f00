import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { readJsonOrAside, writeJson } from '../storage/json-file.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import { NodeError } from './errors.js';

const schema = z.object({
  replica: z.string().min(1),
  /** A relay has stored the cluster's genesis that this folder holds, or it came from others, or the operator said go. */
  genesis_acknowledged: z.boolean().default(false),
});

/** What a replica knows of itself and of nobody else: `replica.json` in its data folder. */
export class ReplicaFile {
  private constructor(
    private readonly path: string,
    private value: z.output<typeof schema>,
    /** There was none, or none that could be read: whatever else stands in the folder is from an earlier id. */
    readonly isNew: boolean,
  ) {}

  /**
   * Reads it, or makes it with `wanted` or a random id.
   *
   * @throws {NodeError} `storage` when the folder belongs to another replica.
   */
  static async open(
    dataDir: string,
    wanted: string | undefined,
    { log, clock }: { log: Log; clock: Clock },
  ): Promise<ReplicaFile> {
    const path = join(dataDir, 'replica.json');
    const lost = 'the replica id: without UNDERSTUDY_REPLICA_ID this folder gets another';
    const known = await readJsonOrAside(path, schema, { lost, log, clock });
    if (known !== undefined) {
      if (wanted !== undefined && wanted !== known.replica) {
        throw new NodeError(
          'storage',
          `${dataDir} belongs to replica ${known.replica}, not to ${wanted} (UNDERSTUDY_REPLICA_ID): name another folder, or leave the id out`,
        );
      }
      return new ReplicaFile(path, known, false);
    }
    const file = new ReplicaFile(
      path,
      { replica: wanted ?? randomUUID(), genesis_acknowledged: false },
      true,
    );
    await writeJson(path, file.value);
    return file;
  }

  get replica(): string {
    return this.value.replica;
  }

  get genesisAcknowledged(): boolean {
    return this.value.genesis_acknowledged;
  }

  async acknowledgeGenesis(): Promise<void> {
    if (this.value.genesis_acknowledged) return;
    this.value = { ...this.value, genesis_acknowledged: true };
    await writeJson(this.path, this.value);
  }
}
