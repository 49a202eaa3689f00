/** Two processes, one traffic light: the one that works the lamp is killed, and the light goes on. */
import { fileURLToPath } from 'node:url';
import { firstToSay, play, tell } from '../stage.mjs';

const replica = fileURLToPath(new URL('replica.mjs', import.meta.url));

await play(async ({ enter }) => {
  tell('Two processes, each with its own folder, hold one traffic light. Its timers are in the documents.');
  const players = [enter('replica-1', replica), enter('replica-2', replica)];
  for (const player of players) await player.until(/sees red → green/);
  await Promise.all(players.map((player) => player.until(/sees yellow → red/)));

  const [worker, other] = await firstToSay(/switches the lamp/, players);
  await worker.kill();
  tell(`Pulled the plug on ${worker.name}, which worked the lamp.`);
  await other.until(/switches the lamp/);
  await other.until(/sees yellow → red/);
  tell(`${other.name} went on where the light stood. ${worker.name} comes back and learns what it missed.`);
  const back = enter(worker.name, replica);
  await back.until(/sees (?!off)\w+ at its start/);
  await back.until(/sees yellow → red/);
  tell('The light never stopped.');
});
