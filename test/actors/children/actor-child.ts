import { writeSync } from 'node:fs';
import { openNode, systemClock, type ActorEvent } from '../../../src/index.js';
import { until } from '../../../src/node/until.js';
import { watchFileCalls } from './file-calls.js';
import { Ledger } from './ledger.js';
import { CLUSTER, KEY, ORDER, orderParkedFor, PARKED_MS } from './order.js';

/** What a child does; it says each step on a line of its own. */
export interface Plan {
  dir: string;
  replica?: string;
  relays?: string[];
  /** Folder of the downstream; without one, effects have no handler. */
  ledger?: string;
  /** Sent one after another, each under its id. */
  send?: { id: string; event: ActorEvent }[];
  /**
   * Kills itself: at the nth file call after a boundary (`sent`: the last send began; `acknowledged`: it is durable;
   * `returned`: an effect's handler has returned), or with no call at the boundary itself (`begun`: in the handler;
   * `carried`: the downstream has it). With `replicated`, a relay has everything first.
   */
  die?: {
    at: 'sent' | 'acknowledged' | 'begun' | 'carried' | 'returned';
    call?: number;
    replicated?: boolean;
  };
  /** Of the effect at which it dies. */
  effect?: string;
  /** For how long an order is parked, milliseconds. */
  parkedMs?: number;
  /** Stays open when everything is carried out, until it is killed. */
  stay?: boolean;
}

const plan = JSON.parse(process.argv[2] ?? '{}') as Plan;
const { die } = plan;
const say = (line: string) => writeSync(1, `${line}\n`);
const files = watchFileCalls();
const relays = (plan.relays ?? []).map((url) => ({ url }));
const node = await openNode({
  clusterId: CLUSTER,
  dataDir: plan.dir,
  ...(plan.replica !== undefined && { replicaId: plan.replica }),
  relays,
  shards: 1,
  found: true,
  durability: 'fsync',
});
if (relays.length > 0) await node.synced(60_000);
const boundary = async (at: NonNullable<typeof die>['at']) => {
  say(at);
  if (die?.at !== at) return;
  if (die.replicated === true) await node.replicated(60_000);
  if (die.call === undefined && at !== 'sent') process.kill(process.pid, 'SIGKILL');
  files.arm(die.call);
};

node.actors.register(orderParkedFor(plan.parkedMs ?? PARKED_MS), ORDER);
const { ledger } = plan;
if (ledger !== undefined) {
  const downstream = new Ledger(ledger);
  for (const name of ['charge', 'ship']) {
    node.actors.carryOut('order', name, async ({ id }) => {
      const mine = name === (plan.effect ?? 'charge');
      if (mine) await boundary('begun');
      downstream.carryOut(id, name);
      if (mine) await boundary('carried');
      if (mine) await boundary('returned');
      return name === 'charge' ? { type: 'PAID' } : undefined;
    });
  }
}
const actor = node.actors.get(KEY);
say('open');
const last = plan.send?.at(-1);
for (const { id, event } of plan.send ?? []) {
  const sending = actor.send(event, { cause: { id, ts: Date.now() } });
  if (id === last?.id) await boundary('sent');
  await sending;
  say(`sent ${id}`);
}
if (last !== undefined) {
  say(`stands ${JSON.stringify(actor.snapshot().value)}`);
  await boundary('acknowledged');
}
await node.actors.ready();
await until(() => node.actors.pending() === 0, {
  clock: systemClock,
  everyMs: 10,
  ...(plan.stay !== true && { deadlineMs: 60_000 }),
});
await node.flush();
files.disarm();
say(`calls ${JSON.stringify(files.calls)}`);
say(`settled ${JSON.stringify(actor.snapshot())}`);
if (plan.stay === true) setInterval(() => {}, 60_000);
else {
  await node.close();
  process.exit(0);
}
