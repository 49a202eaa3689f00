import { isLoopback } from '../config/roles.js';
import * as setting from '../config/settings.js';
import { counted, finding, type Finding } from './finding.js';
import type { Patient } from './patient.js';
import { readableSecrets } from './secret-files.js';

/** The oldest Node.js that this software runs on. */
const oldestNode = [20, 19] as const;

/** Are the settings there, well formed, and not at odds with each other? */
export async function checkConfig(patient: Patient): Promise<Finding[]> {
  const { settings } = patient;
  const wrong = wrongSettings(patient);
  const found = [
    ...nodeVersion(process.versions.node),
    ...wrong,
    ...(settings.fileFault === undefined && patient.role !== 'relay' ? missing(patient) : []),
    ...contradictions(patient),
    ...inClear(patient),
    ...(await readableSecrets(settings)),
  ];
  const given = setting.everySetting.filter((one) => settings.isGiven(one)).length;
  const from = patient.isOfUp ? ', and those that `understudy up` keeps' : '';
  return [
    finding('config', `${counted(given, 'setting')} given${from}; Node ${process.versions.node}`),
    ...found,
  ];
}

export function nodeVersion(version: string): Finding[] {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return [];
  const wanted = oldestNode.join('.');
  return [
    finding(
      'node-version',
      `Node ${version} runs this, older than ${wanted}`,
      `install Node ${wanted} or later`,
    ),
  ];
}

function wrongSettings({ settings }: Patient): Finding[] {
  for (const one of setting.everySetting) settings.get(one);
  const file = settings.fileFault;
  return [
    ...(file === undefined
      ? []
      : [finding('settings-file', file, 'mend that line: no process starts with it')]),
    ...[...settings.faults].map(([name, message]) =>
      finding('setting-wrong', message, `give ${name} a value that fits`),
    ),
  ];
}

/** What a replica does not start without. */
function missing({ settings, isOfUp, holder }: Patient): Finding[] {
  const lacks = [setting.clusterId, setting.homeserverUrl].filter((one) => !settings.isGiven(one));
  const names = lacks.map(({ name }) => name);
  const user = settings.isGiven(setting.user);
  const token = settings.isGiven(setting.accessToken);
  if (!token && !user) names.push('MATRIX_ACCESS_TOKEN (or MATRIX_USER and MATRIX_PASSWORD)');
  else if (!token && !isOfUp && !settings.isGiven(setting.password)) names.push('MATRIX_PASSWORD');
  const todo =
    holder.state === 'answers'
      ? 'run the doctor with the settings that its replica runs with'
      : 'set it as the other replicas of the cluster have it';
  return names.map((name) => finding('setting-missing', `${name} is not set`, todo));
}

function contradictions({ settings }: Patient): Finding[] {
  const found: Finding[] = [];
  const at = (seen: string, todo: string): void =>
    void found.push(finding('settings-contradict', seen, todo));
  const [beat, lease] = [settings.get(setting.heartbeat) ?? 0, settings.get(setting.lease) ?? Infinity];
  if (beat * 2 > lease) {
    at(
      `UNDERSTUDY_HEARTBEAT is ${beat} ms and UNDERSTUDY_LEASE ${lease} ms: every lost heartbeat looks like a death`,
      'make the heartbeat at most half of the lease',
    );
  }
  if (settings.isGiven(setting.accessToken) && settings.isGiven(setting.user)) {
    at('MATRIX_ACCESS_TOKEN and MATRIX_USER are both set, and the user is not used', 'keep one of them');
  }
  if (settings.isGiven(setting.storageKeyPrevious) && !settings.isGiven(setting.storageKey)) {
    at(
      'UNDERSTUDY_STORAGE_KEY_PREVIOUS is set without UNDERSTUDY_STORAGE_KEY',
      'set the key that documents are to be encrypted with, too',
    );
  }
  if (settings.isGiven(setting.relayTlsCert) !== settings.isGiven(setting.relayTlsKey)) {
    at(
      'of UNDERSTUDY_RELAY_TLS_CERT_FILE and UNDERSTUDY_RELAY_TLS_KEY_FILE only one is set',
      'set both, or neither',
    );
  }
  return found;
}

/** Beyond this machine a token is read by whoever stands in between, unless the network is a private one. */
function inClear({ settings, relays }: Patient): Finding[] {
  const urls = [
    ...(settings.get(setting.relayToken) === undefined ? [] : relays.map(({ url }) => url)),
    settings.get(setting.homeserverUrl),
    settings.get(setting.platformToken) === undefined ? undefined : settings.get(setting.platformUrl),
  ].filter((url) => url !== undefined);
  const open = urls.filter((url) => /^(http|ws):/.test(url) && !isLoopback(new URL(url).hostname));
  return open.map((url) =>
    finding(
      'secret-in-clear',
      `a token goes to ${url} unencrypted`,
      'use https:// or wss:// unless that network is yours alone',
    ),
  );
}
