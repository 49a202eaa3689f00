import { setup, assign } from 'xstate';
import { z } from 'zod';
import type { Schemas } from '../../src/documents/migrations/schemas.js';
import type { KeyedStore, KeyedStoreOptions, OpenNodeOptions, StateNode } from '../../src/index.js';
import { openLine, type Line } from '../storage/cut-line.js';
import { folder, node } from '../node/world.js';

const HOUR = 3600_000;

/** Counts what it was told. */
const counter = setup({
  types: { context: {} as { ids: string[] }, events: {} as { type: 'NOTE' } },
  actions: {
    note: assign({ ids: ({ context, event }) => [...context.ids, (event as unknown as { id: string }).id] }),
  },
}).createMachine({ id: 'm', context: { ids: [] }, on: { NOTE: { actions: 'note' } } });

export const votes: KeyedStoreOptions<string> = {
  namespace: 'votes',
  class: 'durable',
  ttl: HOUR,
  maxEntries: 10_000,
  persistent: true,
  shape: z.string(),
};

/** One replica, at whatever release it is at the moment; its folder and its line to the relay outlive its process. */
export class Replica {
  node!: StateNode;
  keyed!: KeyedStore<string>;
  readonly told: string[] = [];

  private constructor(
    readonly name: string,
    readonly dataDir: string,
    readonly line: Line,
    private options: Partial<OpenNodeOptions>,
  ) {}

  static async start(
    name: string,
    hub: { port: number },
    options: Partial<OpenNodeOptions> & { schemas?: Schemas },
  ): Promise<Replica> {
    const replica = new Replica(name, await folder(), await openLine(hub.port), options);
    await replica.open();
    return replica;
  }

  async open(options: Partial<OpenNodeOptions> = {}): Promise<void> {
    this.options = { ...this.options, ...options };
    this.node = await node([{ url: `ws://127.0.0.1:${this.line.port}` }], {
      dataDir: this.dataDir,
      replicaId: this.name,
      shards: 1,
      generations: { events: 1, everyMs: 0 },
      backups: { everyMs: 0 },
      migrations: { auto: false },
      ...this.options,
    });
    this.node.actors.register(counter);
    this.node.migrations.on((event) => void this.told.push(`${event.document} ${event.from}-${event.to}`));
    this.keyed = await this.node.openKeyedStore(votes);
  }

  async restart(options: Partial<OpenNodeOptions> = {}): Promise<void> {
    await this.node.close();
    await this.open(options);
  }

  async close(): Promise<void> {
    await this.node.close();
    await this.line.close();
  }
}
