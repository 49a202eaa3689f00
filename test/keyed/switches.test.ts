import { expect, it } from 'vitest';
import type { KeyedStore, StateNode } from '../../src/index.js';
import {
  openOwnMessageStores,
  openQuestionStores,
  type PersistentState,
} from '../../src/bot/persistent-state.js';
import { folder, node } from '../node/world.js';

const values: Record<PersistentState, unknown> = {
  threads: { agent: 'echo' },
  sent: { source: '$1' },
  prompts: { kind: 'buttons', source: '$1', choices: ['1'] },
  approvals: { approval: '1', decisions: { '👍': 'approve' } },
};
const all = Object.keys(values) as PersistentState[];

/** The stores as a replica opens them. */
async function open(on: StateNode, named: readonly PersistentState[]) {
  const stores = { ...(await openOwnMessageStores(on, named)), ...(await openQuestionStores(on, named)) };
  return stores as unknown as Record<PersistentState, KeyedStore<unknown>>;
}

it.each([[[]], ...all.map((one) => [[one]]), [all]])(
  'UNDERSTUDY_PERSISTENT_STATE=%s: these outlive the process, and no other',
  async (named: PersistentState[]) => {
    const dataDir = await folder();
    const one = await node([], { dataDir, found: true });
    const stores = await open(one, named);
    for (const name of all) expect(stores[name].register('matrix/a', values[name])).toBe(true);
    for (const name of all) expect(stores[name].lookup('matrix/a')).toEqual(values[name]);
    for (const name of all) expect(await stores[name].flush()).toBe(true);
    await one.close();
    const again = await open(await node([], { dataDir }), named);
    const kept = all.filter((name) => again[name].lookup('matrix/a') !== undefined);
    expect(kept).toEqual(all.filter((name) => named.includes(name)));
  },
);
