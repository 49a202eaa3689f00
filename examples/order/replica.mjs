/**
 * One of the processes that keep the orders. It takes commands on stdin: `place ID AMOUNT`, `pay ID AMOUNT`, `ship ID`,
 * `show ID`, and `hold` or `go`: whether it stands still after a charge, where a plug is pulled.
 */
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { openReplica, say } from '../replica.mjs';
import { charge } from './ledger.mjs';
import { events, order } from './machine.mjs';

const { node, args } = await openReplica();
const [ledger = 'ledger'] = args;
let released = Promise.resolve();
let release = () => undefined;

node.actors.register(order, { events });
node.actors.carryOut('order', 'chargeCard', async (effect, { actor }) => {
  const { amount } = watched(actor).snapshot().context;
  const { receipt, first } = await charge(ledger, { key: effect.id, order: actor, amount });
  say(first ? `charged ${amount}, receipt ${receipt}` : `finds ${amount} charged, receipt ${receipt}`);
  await released;
  // Written in one change with the mark that the effect is done.
  return { type: 'CHARGED', receipt };
});

const watching = new Set();

/** An order, of which every step is shown from now on, whoever takes it. */
function watched(key) {
  const actor = node.actors.get(key);
  if (watching.has(key)) return actor;
  watching.add(key);
  actor.subscribe(({ from, to }) => {
    if (from.value !== to.value) say(`${key}:`, from.value, '→', to.value);
  });
  return actor;
}

const commands = {
  place: (actor, amount) => send(actor, { type: 'PLACE', amount: Number(amount) }),
  pay: (actor, amount) => send(actor, { type: 'PAY', offered: Number(amount) }),
  ship: (actor) => send(actor, { type: 'SHIP' }),
  show: (actor) => say(actor.key, 'is', actor.snapshot().value),
  hold: () => void (released = new Promise((resolve) => (release = resolve))),
  go: () => release(),
};

// A cause is what makes an event count once; a command that is typed again is another one.
async function send(actor, event) {
  const { value } = await actor.send(event, { cause: { id: randomUUID(), ts: Date.now() } });
  say(`${event.type}:`, actor.key, 'is', value);
}

// What the others did meanwhile; without them it goes on with what it has.
await node.synced(5000);
say('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [name, id = '1', amount] = line.trim().split(/\s+/);
  try {
    if (!Object.hasOwn(commands, name)) throw new Error(`there is no command ${name}`);
    await commands[name](watched(`order/${id}`), amount);
  } catch (error) {
    say(`refused: ${error.message}`);
  }
}
