/** One of the processes that hold the light: shows every change, and switches the lamp when it is its turn. */
import { openReplica, say } from '../replica.mjs';
import { light } from './machine.mjs';

const { node } = await openReplica();
node.actors.register(light);
node.actors.carryOut('light', 'show', async ({ params }) => say(`switches the lamp to ${params.colour}`));

const crossing = node.actors.get('light/crossing');
say('sees', crossing.snapshot().value, 'at its start');
crossing.subscribe(({ from, to }) => say('sees', from.value, '→', to.value));

// Every process sends this at every start. It has one cause, so it counts once.
await crossing.send({ type: 'SWITCH_ON' }, { cause: { id: 'switched on' } });
