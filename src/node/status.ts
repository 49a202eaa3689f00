/**
 * How far a node is.
 *
 * - `waiting-for-peers`: it may not go on alone (PROTOCOL C5). `no-word`: nobody has yet said whether the cluster
 *   exists. `not-acknowledged`: no relay has stored this node's founding yet. `recovering`: documents lost
 *   chunks on disk, and no relay has yet shown that nothing is missing. `since` is in milliseconds.
 */
export type NodeStatus =
  | { state: 'opening' }
  | {
      state: 'waiting-for-peers';
      reason: 'no-word' | 'not-acknowledged' | 'recovering';
      since: number;
      documents?: string[];
    }
  | { state: 'ready'; since: number }
  | { state: 'closed' };
