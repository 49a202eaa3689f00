import type { Write } from '../../world/proxy.js';

/** One write of a command as it leaves the replica: to the homeserver, or to the platform. */
export type Step =
  | 'createRoom'
  | 'ledger'
  | 'createChat'
  | 'branchChat'
  | 'saveContext'
  | 'loadContext'
  | 'cancelRun'
  | 'decide'
  | 'archived'
  | 'name'
  | 'child'
  | 'invite'
  | 'leave'
  | 'forget'
  | 'redaction'
  | 'answer';

const requests: [Step, RegExp][] = [
  ['createRoom', /^POST \S+\/createRoom$/],
  ['ledger', /^PUT \S+\/send\/dev\.understudy\.ledger\//],
  ['answer', /^PUT \S+\/send\/m\.room\.message\//],
  ['redaction', /^PUT \S+\/redact\//],
  ['archived', /^PUT \S+\/state\/dev\.understudy\.archived\//],
  ['name', /^PUT \S+\/state\/m\.room\.name\//],
  ['child', /^PUT \S+\/state\/m\.space\.child\//],
  ['invite', /^POST \S+\/rooms\/[^/]+\/invite$/],
  ['leave', /^POST \S+\/rooms\/[^/]+\/leave$/],
  ['forget', /^POST \S+\/rooms\/[^/]+\/forget$/],
  ['createChat', /^POST \/v1\/chats$/],
  ['branchChat', /^POST \/v1\/chats\/[^/]+\/branch$/],
  ['saveContext', /^PUT \/v1\/chats\/[^/]+\/contexts\/[^/]+$/],
  ['loadContext', /^POST \/v1\/chats\/[^/]+\/contexts\/[^/]+\/load$/],
  ['cancelRun', /^POST \/v1\/runs\/[^/]+\/cancel$/],
  ['decide', /^POST \/v1\/runs\/[^/]+\/approvals\/[^/]+$/],
];

/** Undefined where it is none of a command's: a read receipt, a typing notice, a prompt to the agent. */
export function stepOf({ method, path }: Write): Step | undefined {
  const line = `${method} ${path.replace(/\?.*$/, '')}`;
  return requests.find(([, request]) => request.test(line))?.[0];
}

/** Everything that a request says, to look for ids in. */
export const textOf = ({ path, body, key }: Write): string =>
  `${decodeURIComponent(path)} ${JSON.stringify(body)} ${key ?? ''}`;
