import type { SimulatedReplica } from './replica.js';
import type { World } from './world.js';

const CHANGING = new Set(['createRoom', 'send', 'redact', 'setState', 'join', 'leave', 'forget', 'invite']);

export interface Boundary {
  /** Whether it came to its n-th write and was killed. */
  killed: () => boolean;
  /** It is not killed any more. */
  lift: () => void;
}

/**
 * Kills a replica right after its n-th write from now on: a request that changed the homeserver, a call that changed
 * the platform, a change of the records. The write stands, its answer never comes.
 */
export function killAfter(world: World, replica: SimulatedReplica, n: number): Boundary {
  const { process, state } = replica.life;
  const { clientName } = replica;
  let left = n;
  let killed = false;
  const kill = () => {
    killed = true;
    replica.kill();
  };
  const isLast = () => (left -= 1) === 0;
  const held = world.server.hold(
    ({ client, call }) => client === clientName && CHANGING.has(call) && isLast(),
    'after',
  );
  void held.arrived.then(kill);
  world.platform.onWrite = (of) => {
    if (of === process && isLast()) kill();
  };
  const tell = state.onWritten;
  let changes = state.changes.length;
  state.onWritten = (record) => {
    tell(record);
    if (state.changes.length === changes) return;
    changes = state.changes.length;
    // All records of the change get out first.
    if (isLast()) queueMicrotask(kill);
  };
  const lift = () => {
    left = -1;
    world.platform.onWrite = () => {};
    state.onWritten = tell;
  };
  return { killed: () => killed, lift };
}
