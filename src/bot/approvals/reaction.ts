import type { RoomEvent } from '../../matrix/homeserver.js';
import type { Verdict } from '../../platform/client.js';

/** What people can say to the bot by a reaction: a decision on what it asked, or that a run is to stop. */
export type Sign = Verdict | 'stop';

export interface Reaction {
  /** The event that it marks. */
  target: string;
  sign: Sign;
}

const SIGNS = new Map<string, Sign>([
  ['✅', 'approve'],
  ['👍', 'approve'],
  ['❌', 'deny'],
  ['👎', 'deny'],
  ['♾', 'always'],
  ['🛑', 'stop'],
]);

/** The longest of them, with a skin tone and a variation selector, is shorter. */
const LONGEST_KEY = 16;
/** How a character is to look (variation selectors, skin tones) is nothing that it says. */
const LOOKS = /\ufe0e|\ufe0f|\p{Emoji_Modifier}/gu;

/** Reads a reaction (Matrix spec, annotations); undefined where it says nothing to us. Its content is hostile. */
export function readReaction({ type, content }: RoomEvent): Reaction | undefined {
  if (type !== 'm.reaction') return undefined;
  const relation = content['m.relates_to'] as Record<string, unknown> | null | undefined;
  if (typeof relation !== 'object' || relation === null) return undefined;
  const { rel_type, event_id: target, key } = relation;
  if (rel_type !== 'm.annotation' || typeof target !== 'string' || typeof key !== 'string') return undefined;
  if (!/^\$[\x21-\x7e]{1,254}$/.test(target) || key.length > LONGEST_KEY) return undefined;
  const sign = SIGNS.get(key.replace(LOOKS, ''));
  return sign && { target, sign };
}
