import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../time/clock.js';
import { deadline } from '../deadline.js';
import { STREAM_TYPE } from '../wire.js';
import { FeedCut, type RunFeed } from './feed.js';

const SLOWEST_READER_MS = 60_000;

/**
 * Sends a run as lines of JSON, with an empty line every `keepAliveMs`. A reader that leaves changes nothing
 * for the run. Where the feed is cut the connection is cut too, without an end, so that the client asks again.
 */
export async function streamRun(
  response: ServerResponse,
  feed: RunFeed,
  clock: Clock,
  keepAliveMs: number,
): Promise<void> {
  const left = new AbortController();
  response.once('close', () => left.abort());
  response.writeHead(200, {
    'content-type': STREAM_TYPE,
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  response.flushHeaders();
  const stopKeepAlive = clock.every(keepAliveMs, () => {
    if (!response.writableNeedDrain) response.write('\n');
  });
  try {
    for await (const event of feed.read(left.signal)) {
      if (!response.write(`${JSON.stringify(event)}\n`)) await drained(response, clock, left.signal);
    }
    response.end();
  } catch (error) {
    response.destroy();
    if (!(error instanceof FeedCut) && !left.signal.aborted) throw error;
  } finally {
    stopKeepAlive();
  }
}

/** Throws {@link FeedCut} for a reader that takes nothing for a minute. */
async function drained(response: ServerResponse, clock: Clock, left: AbortSignal): Promise<void> {
  const patience = deadline(clock, SLOWEST_READER_MS, left);
  try {
    await once(response, 'drain', { signal: patience.signal });
  } catch (error) {
    throw patience.expired() ? new FeedCut() : error;
  } finally {
    patience.clear();
  }
}
