import type { Homeserver } from './homeserver.js';
import type { Processes } from './processes.js';

/** What a person can do now, once everything runs. */
export function howToGoOn(homeserver: Homeserver, { platform, relay, replicas }: Processes): string[] {
  const people = Object.entries(homeserver.people);
  const first = replicas[0];
  return [
    '',
    'Everything runs. Now:',
    '',
    '  Talk in the terminal (in another one, in this folder):',
    '      npx understudy chat',
    ...element(homeserver, people),
    '',
    '  See one replica take over from another:',
    ...replicas.map(({ options, pid }) => `      kill -9 ${pid}      # ${options.name}`),
    '      The other one answers at once; the killed one is started again after 3 s.',
    '',
    '  Look inside:',
    `      npx understudy inspect${first ? ` --data ${first.options.dataDir}` : ''}`,
    ...[platform, relay, ...replicas].map(
      ({ options: { name, health, log } }) => `      ${name}: ${health}/metrics, log ${log}`,
    ),
    '',
    'Ctrl-C stops all of it; the next start goes on where it was.',
  ];
}

function element(homeserver: Homeserver, people: [string, { user: string }][]): string[] {
  if (people.length === 0)
    return ['', `  Invite ${homeserver.bot} to a room on your homeserver, and write to it.`];
  return [
    '',
    '  Or sign in with Element (https://app.element.io or a desktop app):',
    `      homeserver  ${homeserver.url}`,
    ...people.map(([, { user }]) => `      user        ${user}`),
    ...(homeserver.passwordFile === undefined ? [] : [`      passwords   in ${homeserver.passwordFile}`]),
    `      and write to ${homeserver.bot}, or invite it to an unencrypted room.`,
    '      (In a room that it did not make it answers what is addressed to it.)',
  ];
}
