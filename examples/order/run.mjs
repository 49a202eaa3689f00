/** Two processes, one order: the plug is pulled after the card was charged and before anybody wrote that down. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { firstToSay, play, tell } from '../stage.mjs';
import { charges } from './ledger.mjs';

const replica = fileURLToPath(new URL('replica.mjs', import.meta.url));

await play(async ({ enter, dir }) => {
  const ledger = join(dir, 'ledger');
  tell('Two processes keep one order. The card company is a folder that both can reach.');
  const players = [enter('replica-1', replica, ledger), enter('replica-2', replica, ledger)];
  for (const player of players) await player.until(/^ready/);
  const [one] = players;

  tell('What the order does not allow changes nothing: no shipping before paying, no paying too little.');
  one.say('place 7 42');
  await one.until(/PLACE: order\/7 is placed/);
  one.say('ship 7');
  await one.until(/SHIP: order\/7 is placed/);
  one.say('pay 7 41');
  await one.until(/PAY: order\/7 is placed/);

  tell('Paid. The card is to be charged by one of the two, which is told to stand still right after it.');
  for (const player of players) player.say('hold');
  one.say('pay 7 42');
  const [charger, other] = await firstToSay(/^charged 42/, players);
  tell(`${charger.name} has charged. Pulling its plug before it can write that down.`);
  await charger.kill();
  other.say('go');
  await other.until(/^finds 42 charged/);
  await other.until(/order\/7: charging → paid/);
  tell(`${other.name} took over, under the same effect id, so the card company charged nothing again.`);
  other.say('ship 7');
  await other.until(/SHIP: order\/7 is shipped/);

  const made = await charges(ledger);
  if (made.length !== 1) throw new Error(`charged ${made.length} times: ${JSON.stringify(made)}`);
  tell(`Charged once: ${JSON.stringify(made[0])}`);

  const back = enter(charger.name, replica, ledger);
  await back.until(/^ready/);
  back.say('show 7');
  await back.until(/order\/7 is shipped/);
  tell(`${charger.name} is back, and knows the rest.`);
});
