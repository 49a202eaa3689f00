import { UserError, wrongSetting, type ExitCode } from './user-error.js';

/** What a person is told of an error, and the exit code that goes with it. */
export interface Explained {
  line: string;
  exitCode: ExitCode;
}

/** The `code` of an error of ours or of Node, whatever its class. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Codes of errors that the part below words well, and the setting that decides them. */
const known: Record<string, { exitCode: ExitCode; setting?: string }> = {
  // storage/lock.ts, storage/folder.ts
  locked: { exitCode: 2, setting: 'UNDERSTUDY_DATA_DIR' },
  unwritable: { exitCode: 2, setting: 'UNDERSTUDY_DATA_DIR' },
  'not-a-folder': { exitCode: 2, setting: 'UNDERSTUDY_DATA_DIR' },
  'bad-lock': { exitCode: 2, setting: 'UNDERSTUDY_DATA_DIR' },
  // storage/seal-error.ts
  'storage-key': { exitCode: 2, setting: 'UNDERSTUDY_STORAGE_KEY' },
  // storage/postgres-error.ts
  'storage-unreachable': { exitCode: 3, setting: 'UNDERSTUDY_RELAY_DATABASE_URL' },
  'storage-in-use': { exitCode: 2, setting: 'UNDERSTUDY_RELAY_DATABASE_URL' },
  'storage-newer': { exitCode: 2, setting: 'UNDERSTUDY_RELAY_DATABASE_URL' },
  'storage-unusable': { exitCode: 2, setting: 'UNDERSTUDY_RELAY_DATABASE_URL' },
  // sync/errors.ts
  'token-required': { exitCode: 2, setting: 'UNDERSTUDY_RELAY_TOKEN' },
  'bad-token': { exitCode: 2, setting: 'UNDERSTUDY_RELAY_TOKEN' },
  'bad-tokens-file': { exitCode: 2, setting: 'UNDERSTUDY_RELAY_TOKENS_FILE' },
  'bad-certificate': { exitCode: 2, setting: 'UNDERSTUDY_RELAY_TLS_CERT_FILE' },
  'bad-relay-url': { exitCode: 2, setting: 'UNDERSTUDY_RELAY_URLS' },
  'bad-name': { exitCode: 2, setting: 'UNDERSTUDY_REPLICA_ID' },
  // platform/agents.ts, platform/service/errors.ts
  unreadable: { exitCode: 2, setting: 'UNDERSTUDY_AGENTS_FILE' },
  'not-yaml': { exitCode: 2, setting: 'UNDERSTUDY_AGENTS_FILE' },
  invalid: { exitCode: 2, setting: 'UNDERSTUDY_AGENTS_FILE' },
  'database-in-use': { exitCode: 2, setting: 'UNDERSTUDY_DATA_DIR' },
  'database-unusable': { exitCode: 2 },
  'database-unreachable': { exitCode: 3 },
  'schema-newer': { exitCode: 2 },
  // matrix/homeserver.ts, platform/client.ts
  unreachable: { exitCode: 3 },
  'rate-limited': { exitCode: 3 },
  // dev/errors.ts
  'no-python': { exitCode: 2 },
  'no-network': { exitCode: 2 },
};

/** One line for any error. What nobody foresaw is shown as it is, with the way to see more. */
export function explain(error: unknown): Explained {
  if (error instanceof UserError) return { line: oneLine(error.message), exitCode: error.exitCode };
  const code = codeOf(error);
  const rule = code === undefined ? undefined : known[code];
  const words = oneLine(messageOf(error));
  if (!rule) return { line: `${words} (DEBUG=understudy:* shows more)`, exitCode: 1 };
  const isNamed = rule.setting === undefined || words.includes(rule.setting);
  return { line: isNamed ? words : `${rule.setting}: ${words}`, exitCode: rule.exitCode };
}

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, ' ').trim();

/** Runs what opens a port and words the usual reasons why it cannot be opened. */
export async function listening<T>(
  at: { host: string; port: number; setting: string },
  open: () => Promise<T>,
): Promise<T> {
  try {
    return await open();
  } catch (error) {
    const hostSetting = at.setting.replace(/_PORT$/, '_HOST');
    switch (codeOf(error)) {
      case 'EADDRINUSE':
      case 'port-in-use':
        throw wrongSetting(
          `port ${at.port} on ${at.host} is in use by another process: stop that one, or set ${at.setting} to a free port`,
          error,
        );
      case 'EACCES':
        throw wrongSetting(
          `port ${at.port} may not be opened by this user: set ${at.setting} to one above 1023`,
          error,
        );
      case 'EADDRNOTAVAIL':
      case 'ENOTFOUND':
      case 'EAI_AGAIN':
      case 'host-unusable':
        throw wrongSetting(`${hostSetting}: ${at.host} is no address of this machine`, error);
      case 'cannot-listen':
        throw wrongSetting(`${at.setting}: ${oneLine(messageOf(error))}`, error);
      default:
        throw error;
    }
  }
}

/** The homeserver's refusal of the bot's login or token, in the words of its settings; other errors as they are. */
export function loginRefused(
  error: unknown,
  config: { homeserverUrl: string; credentials: object },
): unknown {
  const { errcode } = (error as { detail?: { errcode?: unknown } }).detail ?? {};
  if (codeOf(error) !== 'refused' || typeof errcode !== 'string') return error;
  // An errcode of our own: the homeserver let us in, and we refuse.
  if (!errcode.startsWith('M_'))
    return wrongSetting(`MATRIX_USER or MATRIX_ACCESS_TOKEN: ${messageOf(error)}`, error);
  const settings =
    'user' in config.credentials ? 'MATRIX_USER and MATRIX_PASSWORD are' : 'MATRIX_ACCESS_TOKEN is';
  return wrongSetting(`${settings} refused by ${config.homeserverUrl} (${errcode})`, error);
}
