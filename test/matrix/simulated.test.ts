import { systemClock } from '../../src/time/clock.js';
import { SimulatedHomeserver } from '../simulation/homeserver.js';
import { homeserverContract } from './contract.js';

homeserverContract('the simulated homeserver', async () => {
  const server = new SimulatedHomeserver({ clock: systemClock });
  const bot = server.connect('bot', 'DELIVERY');
  const person = server.connect('person', 'P');
  return {
    bot,
    botAgain: server.connect('bot', 'DELIVERY'),
    elsewhere: server.connect('bot', 'ELSEWHERE'),
    person,
    botId: bot.user,
    personId: person.user,
    serverName: server.serverName,
  };
});
