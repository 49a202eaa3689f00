import type { RoomEvent } from '../../matrix/homeserver.js';
import { localpartOf, mentions, spoken } from './signs.js';

/**
 * What a message says to us, for who looks whether it is a command or a number: without what old clients quote before a
 * reply, and without our name before it, as clients write it of whom they mention (`Bot: !yes`; Matrix client-server
 * 1.11, user and room mentions). An agent is told the whole text. Pure, so that every replica reads the same: a name
 * that stands in no mention counts only where it is of our user id.
 */
export function said(body: string, event: RoomEvent, self: string): string {
  const text = spoken(body, event);
  const rest = afterPill(text, event, self) ?? afterName(text, event, self);
  return rest ?? text;
}

const PILL = /^<a href="https:\/\/matrix\.to\/#\/([^"]{1,1000})">([^<&]{1,255})<\/a>/;

/** The formatted text begins with a link to us, and the plain one with what the link shows. */
function afterPill(text: string, event: RoomEvent, self: string): string | undefined {
  const pill = pillOf(event);
  if (pill?.to !== self || !text.startsWith(pill.shown)) return undefined;
  return text.slice(pill.shown.length).replace(/^[:,]?\s*/, '');
}

/** The link to somebody with which a formatted text begins: whom the message is for, whatever name the link shows. */
export function pillOf({ content }: RoomEvent): { to: string | undefined; shown: string } | undefined {
  const html = content['formatted_body'];
  const [, link, shown] = (typeof html === 'string' && PILL.exec(html)) || [];
  return link === undefined || shown === undefined ? undefined : { to: decoded(link), shown };
}

function afterName(text: string, event: RoomEvent, self: string): string | undefined {
  if (text.startsWith(self)) return text.slice(self.length).replace(/^[:,]?\s*/, '');
  const [, name, rest] =
    /^([\p{L}\p{N}\p{Extended_Pictographic}@][^:,\n]{0,254})[:,]\s*(.*)$/su.exec(text) ?? [];
  if (name === undefined || rest === undefined) return undefined;
  const isOurs = name.replace(/^@/, '').toLowerCase() === localpartOf(self).toLowerCase();
  return isOurs || mentions(event, self) ? rest : undefined;
}

function decoded(link: string): string | undefined {
  try {
    return decodeURIComponent(link);
  } catch {
    return undefined; // no link to anybody
  }
}
