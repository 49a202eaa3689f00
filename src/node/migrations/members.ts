import { kinds } from '../../documents/schemas/kinds.js';
import { RETIRED_AFTER_MS } from '../generations/next-generation.js';
import type { Records } from '../records.js';

/** Every member that may still write, with the highest schema that its software knows. */
export function membersOf(records: Records, now: number): { replica: string; schema: number }[] {
  const members: { replica: string; schema: number }[] = [];
  for (const key of records.keys('member')) {
    const value = (field: string): unknown => records.joined('member', key)?.get(field)?.value;
    const [seen, schema] = [value('last_seen_at'), value('schema')];
    const isAway = typeof seen === 'number' && now - seen > RETIRED_AFTER_MS;
    if (value('retired') === true || isAway) continue;
    // A release that says none was made before there was a second one.
    members.push({
      replica: key.slice(kinds.member.prefix.length),
      schema: typeof schema === 'number' ? schema : 1,
    });
  }
  return members.sort((a, b) => (a.replica < b.replica ? -1 : 1));
}

/** Schemas that the operator keeps from being turned on. */
export function heldIn(records: Records): number[] {
  const held: number[] = [];
  for (const key of records.keys('migration')) {
    if (records.joined('migration', key)?.get('held')?.value !== true) continue;
    const schema = Number(key.slice(kinds.migration.prefix.length));
    if (Number.isInteger(schema)) held.push(schema);
  }
  return held.sort((a, b) => a - b);
}
