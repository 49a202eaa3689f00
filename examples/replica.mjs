/** What every player does: opens its folder as a state node, and closes it when asked to end. */
import { openNode } from 'understudy';

export const say = (...words) => process.stdout.write(`${words.join(' ')}\n`);

/** Arguments of the process: its folder and the relay's URL; the cluster id comes from the environment. */
export async function openReplica() {
  const [dataDir, url, ...rest] = process.argv.slice(2);
  const clusterId = process.env.UNDERSTUDY_CLUSTER_ID;
  if (dataDir === undefined || url === undefined || clusterId === undefined) {
    process.stderr.write('usage: UNDERSTUDY_CLUSTER_ID=<secret> node replica.mjs FOLDER RELAY_URL\n');
    process.exit(2);
  }
  const leaving = new AbortController();
  for (const event of ['SIGTERM', 'SIGINT', 'disconnect']) process.once(event, () => leaving.abort());
  const signal = AbortSignal.any([leaving.signal, AbortSignal.timeout(60_000)]);
  const node = await openNode({ clusterId, dataDir, relays: [{ url }], shards: 4, signal });
  const close = () => void node.close().then(() => process.exit(0));
  leaving.signal.addEventListener('abort', close);
  if (leaving.signal.aborted) close();
  return { node, args: rest };
}
