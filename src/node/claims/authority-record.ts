import { ballot, compareBallots, type Ballot } from '../../claims/token.js';
import { kinds } from '../../documents/schemas/kinds.js';
import type { RecordView } from '../record-view.js';

const { prefix } = kinds.authority;

export const keyOfBallot = ({ term, relay }: Ballot): string => `${prefix}${term}/${relay}`;

/** Undefined for a key of another form: any replica may have written it. */
function ballotOfKey(key: string): Ballot | undefined {
  const [term = '', relay] = key.slice(prefix.length).split('/');
  if (!/^[1-9]\d{0,8}$/.test(term)) return undefined;
  return ballot.safeParse({ term: Number(term), relay }).data;
}

/** Who decides on claims, as the cluster's document says: the highest ballot of all that were ever written. */
export function authorityOf(view: Pick<RecordView, 'keys'>): Ballot | undefined {
  let highest: Ballot | undefined;
  for (const key of view.keys('authority')) {
    const one = ballotOfKey(key);
    if (one !== undefined && (highest === undefined || compareBallots(highest, one) < 0)) highest = one;
  }
  return highest;
}
