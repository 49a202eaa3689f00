import { createHash, randomBytes } from 'node:crypto';
import { tokenRoles, type TokenRole } from '../../sync/relay-tokens.js';
import { duration } from '../config/values.js';
import { wrongSetting } from '../user-error.js';
import type { Invocation } from '../process.js';

const years = 100 * 365 * 86_400_000;

/** Prints a fresh token, which nobody keeps, and the line by which a relay knows it. */
export function run(_invocation: Invocation, options: Record<string, unknown>): number {
  const role = roleFrom(options['role']);
  const expires = expiryFrom(options['expires'], Date.now());
  const name = nameFrom(options['name']);
  const token = randomBytes(32).toString('base64url');
  const sha256 = createHash('sha256').update(token).digest('hex');
  const entry = { sha256, role, ...(expires && { expires }), ...(name && { name }) };
  if (options['json'] === true) {
    process.stdout.write(`${JSON.stringify({ version: 1, token, entry })}\n`);
    return 0;
  }
  const line = `- ${JSON.stringify(entry)}`;
  process.stdout.write(
    `The token, shown this once; its ${role} gets it as UNDERSTUDY_RELAY_TOKEN or in a file (UNDERSTUDY_RELAY_TOKEN_FILE):\n` +
      `${token}\n\n` +
      `The line for the relays' UNDERSTUDY_RELAY_TOKENS_FILE (mode 600), which they read again by themselves:\n` +
      `${line}\n`,
  );
  return 0;
}

function roleFrom(given: unknown): TokenRole {
  const role = tokenRoles.find((each) => each === given);
  if (role) return role;
  throw wrongSetting(`--role must be ${tokenRoles.join(', ')}, and is ${JSON.stringify(given)}`);
}

function expiryFrom(given: unknown, now: number): string | undefined {
  if (typeof given !== 'string') return undefined;
  // Days may be more than a timer can wait for; the relay looks at the clock instead.
  const [, days] = /^(\d{1,5})d$/.exec(given) ?? [];
  const parsed = duration.safeParse(given);
  const ms = days === undefined ? parsed.data : Number(days) * 86_400_000;
  if (ms === undefined || ms <= 0 || ms > years) {
    throw wrongSetting(
      `--expires must be a length of time such as 12h or 30d, and is ${JSON.stringify(given)}`,
    );
  }
  return new Date(now + ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

function nameFrom(given: unknown): string | undefined {
  if (typeof given !== 'string' || /^[\w .:@-]{1,64}$/.test(given)) return given as string | undefined;
  throw wrongSetting('--name must be 1–64 letters, digits, spaces or . : @ - _');
}
