import { silentLog } from '../../telemetry/log.js';
import { PlatformError, type Agent } from '../../platform/client.js';
import { httpPlatform } from '../../platform/http-client.js';
import * as setting from '../config/settings.js';
import { answerOf } from './answer.js';
import { recordsOf, type ClusterView } from './cluster-view.js';
import { counted, finding, some, type Finding } from './finding.js';
import { textIn, type Patient } from './patient.js';
import { clockAndCertificate, unanswered } from './server-findings.js';

/** Is the platform there, does it take the token and speak /v1, and has it the agents that people chose? */
export async function checkPlatform(patient: Patient): Promise<Finding[]> {
  const { settings, limits, clock, signal } = patient;
  const url = settings.get(setting.platformUrl);
  if (url === undefined) return [];
  const token = settings.get(setting.platformToken);
  const options = { deadlineMs: limits.answerMs, signal, now: () => clock.now() };
  const answer = await answerOf(url, options);
  if ('failure' in answer)
    return [unanswered('platform-unreachable', 'platform', 'the platform', url, answer)];
  const found = clockAndCertificate('platform-clock', 'platform', `the platform at ${url}`, answer, patient);
  try {
    const platform = httpPlatform({
      url,
      ...(token && { token }),
      log: silentLog,
      clock,
      answerMs: limits.answerMs,
    });
    const agents = await platform.agents(signal);
    const names =
      some(
        agents.map(({ id }) => id),
        5,
      ) || 'none';
    const view = await patient.view();
    return [
      finding('platform', `${url} speaks /v1; agents: ${names}`),
      ...found,
      ...(view === undefined ? [] : checkAgents(agents, view)),
    ];
  } catch (error) {
    if (!(error instanceof PlatformError) || error.code === 'aborted') throw error;
    return [...found, refused(error, url, token)];
  }
}

function refused({ status, message }: PlatformError, url: string, token: string | undefined): Finding {
  if (status === 401 || status === 403) {
    const seen = token === undefined ? 'asks for a token, and none is set' : 'refuses the token';
    const todo = 'set UNDERSTUDY_PLATFORM_TOKEN to the platform’s own';
    return finding('platform-token', `the platform at ${url} ${seen} (HTTP ${status})`, todo);
  }
  if (status === 404 || /is the URL right/.test(message)) {
    const seen = `what answers at ${url} has no agent platform API of version 1`;
    return finding('platform-version', seen, 'set UNDERSTUDY_PLATFORM_URL to the platform, without /v1');
  }
  const todo = 'see whether it runs, and look at its log';
  return finding('platform-unreachable', `the platform at ${url} fails: ${message}`, todo);
}

/** What people and rooms are bound to must exist, else they are asked to choose again. */
function checkAgents(agents: readonly Agent[], view: ClusterView): Finding[] {
  if (agents.length === 0) {
    return [
      finding(
        'agents-none',
        'the platform has no agent: nobody answers a prompt',
        'add one to its agents file: it is read again at once',
      ),
    ];
  }
  const known = new Set(agents.map(({ id }) => id));
  const chosen = new Map<string, number>();
  const count = (id: string | undefined): void => {
    if (id !== undefined && !known.has(id)) chosen.set(id, (chosen.get(id) ?? 0) + 1);
  };
  for (const record of recordsOf(view, 'user').values()) count(textIn(record, 'selected_agent_id'));
  for (const record of recordsOf(view, 'room').values()) count(textIn(record, 'agent_id'));
  if (chosen.size === 0) return [];
  const shown = some([...chosen].map(([id, times]) => `${id} (${counted(times, 'binding')})`));
  return [
    finding(
      'agent-gone',
      `people or rooms are bound to agents that the platform does not have: ${shown}`,
      'add the agent again, or leave it: who writes there is asked to choose one',
    ),
  ];
}
