import { z } from 'zod';
import { sealingKey } from '../../storage/seal.js';

/**
 * What a setting may look like, each from the text of a flag, a variable or a line of understudy.yaml. The
 * message of an issue completes the sentence "NAME …".
 */
const units: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `3s`, `600ms`, `1.5m`: milliseconds. A bare number is refused, for nobody can say of what. */
export const duration = z.string().transform((text, context) => {
  const [, count, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Number(count) * (units[unit ?? ''] ?? Number.NaN);
  if (Number.isFinite(ms) && ms > 0 && ms < 2 ** 31) return Math.round(ms);
  context.addIssue(`must be a length of time such as 3s, 600ms or 2m, and is ${JSON.stringify(text)}`);
  return z.NEVER;
});

/** A length of time, or `0` for never. */
export const durationOrNever = z.string().transform((text, context) => {
  if (text === '0') return 0;
  const parsed = duration.safeParse(text);
  if (parsed.success) return parsed.data;
  context.addIssue(
    `must be a length of time such as 24h or 30m, or 0 for never, and is ${JSON.stringify(text)}`,
  );
  return z.NEVER;
});

const sizes: Record<string, number> = {
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** `512MB`, `1.5GiB`: bytes. A bare number is refused but for 0, as with lengths of time. */
export const size = z.string().transform((text, context) => {
  if (text === '0') return 0;
  const [, count, unit] = /^(\d+(?:\.\d+)?)\s*([kKMGT]i?B)$/.exec(text) ?? [];
  const bytes = Number(count) * (sizes[unit ?? ''] ?? Number.NaN);
  if (Number.isSafeInteger(Math.round(bytes))) return Math.round(bytes);
  context.addIssue(`must be a size such as 512MB, 2GB or 1GiB, and is ${JSON.stringify(text)}`);
  return z.NEVER;
});

export const wholeNumber = (least: number, most: number) =>
  z.string().transform((text, context) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    context.addIssue(`must be a whole number from ${least} to ${most}, and is ${JSON.stringify(text)}`);
    return z.NEVER;
  });

/** `2`, `0.5`. */
export const decimalNumber = (least: number, most: number) =>
  z.string().transform((text, context) => {
    const value = /^\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    context.addIssue(`must be a number from ${least} to ${most}, and is ${JSON.stringify(text)}`);
    return z.NEVER;
  });

export const port = wholeNumber(0, 65_535);

const url = (protocols: string[]) =>
  z.string().transform((text, context) => {
    const parsed = URL.canParse(text) ? new URL(text) : undefined;
    if (parsed && protocols.includes(parsed.protocol) && parsed.hostname !== '') {
      if (parsed.username === '' && parsed.password === '') return text.replace(/\/+$/, '');
      context.addIssue('must not carry a user or password: those have settings of their own');
      return z.NEVER;
    }
    // The text itself may be a secret pasted into the wrong place, so it is not repeated here.
    context.addIssue(`must be a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`);
    return z.NEVER;
  });

export const httpUrl = url(['http:', 'https:']);

/** 32 bytes in base64url. Not repeated in a message. */
export const storageKey = z.string().transform((text, context) => {
  const key = sealingKey(text);
  if (key) return key;
  context.addIssue('must be 32 bytes in base64url: `understudy storage new-key` prints one');
  return z.NEVER;
});

/** Not repeated in a message, for it holds a password. */
export const postgresUrl = z.string().transform((text, context) => {
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  if (parsed && ['postgres:', 'postgresql:'].includes(parsed.protocol) && parsed.hostname !== '') return text;
  context.addIssue('must be a URL such as postgres://user:password@host/database');
  return z.NEVER;
});

export const relayUrls = z.string().transform((text, context) => {
  const urls: string[] = [];
  for (const part of commaList(text)) {
    const parsed = url(['ws:', 'wss:']).safeParse(part);
    if (parsed.success) urls.push(parsed.data);
    else
      context.addIssue(`${parsed.error.issues[0]?.message ?? 'is wrong'} (several are separated by commas)`);
  }
  return [...new Set(urls)];
});

/** Where web pages come from, as browsers say it: scheme, host, and the port unless it is the usual one. */
export const origins = z.string().transform((text, context) => {
  const listed = commaList(text);
  for (const origin of listed) {
    if (/^https?:/.test(origin) && URL.canParse(origin) && new URL(origin).origin === origin) continue;
    context.addIssue(
      `must list origins such as https://devtool.example.org, and has ${JSON.stringify(origin)}`,
    );
  }
  return listed;
});

/** Ids, or patterns of them in which `*` stands for any run of characters; `*` alone is all. */
export const idPatterns = (sigil: '@' | '!', example: string) =>
  z.string().transform((text, context) => {
    const listed = commaList(text);
    const wrong = listed.find((one) => one !== '*' && !isIdPattern(sigil, one));
    if (listed.length > 0 && wrong === undefined) return listed;
    context.addIssue(
      `must list ids such as ${example}, in which * stands for anything, and ${wrong === undefined ? 'lists none' : `has ${JSON.stringify(wrong)}`}`,
    );
    return z.NEVER;
  });

/** With a colon, but for rooms: ids of newer rooms name no server. */
const isIdPattern = (sigil: '@' | '!', text: string): boolean =>
  (text.startsWith(sigil) || text.startsWith('*')) &&
  (sigil === '!' || text.includes(':')) &&
  !/\s/.test(text);

/** Some of these words, separated by commas. */
export const listOf = <Word extends string>(...allowed: Word[]) =>
  z.string().transform((text, context) => {
    const listed = commaList(text);
    const found = allowed.filter((word) => listed.includes(word));
    const wrong = listed.find((one) => !found.some((word) => word === one));
    if (wrong === undefined) return found;
    context.addIssue(`must list some of ${allowed.join(', ')}, and has ${JSON.stringify(wrong)}`);
    return z.NEVER;
  });

function commaList(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

export const text = z.string();

export const oneOf = <Word extends string>(...allowed: Word[]) =>
  z.string().transform((value, context) => {
    const found = allowed.find((word) => word === value);
    if (found) return found;
    context.addIssue(`must be ${allowed.join(' or ')}, and is ${JSON.stringify(value)}`);
    return z.NEVER;
  });

/** Long enough that nobody guesses it: who knows the cluster id can ask for every document. */
export const clusterId = z.string().transform((value, context) => {
  if (/^[\w-]{20,200}$/.test(value)) return value;
  context.addIssue(
    'must be at least 20 letters, digits, - or _: `understudy cluster new` prints one that nobody can guess',
  );
  return z.NEVER;
});

export const replicaId = z.string().transform((value, context) => {
  if (/^[\w.-]{1,64}$/.test(value)) return value;
  context.addIssue('must be 1 to 64 letters, digits, - _ or .');
  return z.NEVER;
});

/** `genesis:TOKEN`: the token. */
export const seedOrder = z.string().transform((value, context) => {
  const [, token] = /^genesis:([\x21-\x7e]{1,200})$/.exec(value) ?? [];
  if (token !== undefined) return token;
  context.addIssue('must be genesis: and a token of your own, as in genesis:first-scaffold');
  return z.NEVER;
});
