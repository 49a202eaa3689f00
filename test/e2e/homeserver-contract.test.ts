import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { ensureUsers } from '../../src/dev/synapse.js';
import { openHomeserver } from '../../src/matrix/client.js';
import { logIn } from '../../src/matrix/login.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import { homeserverContract } from '../matrix/contract.js';

homeserverContract('Synapse', async () => {
  const { url, serverName, registrationSecret } = inject('homeserver');
  const suffix = randomUUID().slice(0, 8);
  const password = randomUUID();
  const [botName, personName] = [`contract-bot-${suffix}`, `contract-person-${suffix}`];
  await ensureUsers(url, registrationSecret, [
    { name: botName, password },
    { name: personName, password },
  ]);
  const open = async (user: string, deviceId: string) => {
    const session = await logIn({ url, user, password, deviceId, clock: systemClock, deadlineMs: 60_000 });
    const { accessToken } = session;
    return openHomeserver({ url, accessToken, log: silentLog, clock: systemClock, deadlineMs: 60_000 });
  };
  return {
    bot: await open(botName, 'DELIVERY'),
    botAgain: await open(botName, 'DELIVERY'),
    elsewhere: await open(botName, 'ELSEWHERE'),
    person: await open(personName, 'P'),
    botId: `@${botName}:${serverName}`,
    personId: `@${personName}:${serverName}`,
    serverName,
  };
});
