import { type Homeserver, HomeserverError } from '../../matrix/homeserver.js';
import { isRefused } from '../../matrix/refusal.js';
import { type Attachment, LARGEST_ATTACHMENT, LARGEST_ATTACHMENTS } from '../../platform/attachments.js';
import type { Log } from '../../telemetry/log.js';
import { type Clock, sleep } from '../../time/clock.js';
import type { WorkContext } from '../attendant.js';
import type { Media } from './media.js';
import { missingText, tooLargeText } from './texts.js';

const FILE_MS = 30_000;
const AGAIN_MS = { first: 200, most: 5000 };
/** A file that does not come although the homeserver answers is asked for so often: its own server may be gone. */
const MOST_TRIES = 4;

export interface FetchingDeps {
  homeserver: Pick<Homeserver, 'media' | 'whoami'>;
  clock: Clock;
  log: Log;
}

/** The bytes of all, in order; or what to say of the one that cannot be had. */
export type Fetched = { attachments: Attachment[] } | { missing: string };

/**
 * Fetches the files that go with a prompt, one after the other, counting what really comes. An outage of the homeserver
 * is waited out and is no attempt (PROTOCOL C2); a file that is gone, refused or larger than it said ends it.
 */
export async function fetchAll(
  deps: FetchingDeps,
  media: readonly Media[],
  context: Pick<WorkContext, 'signal' | 'waits'>,
): Promise<Fetched> {
  const attachments: Attachment[] = [];
  let left = LARGEST_ATTACHMENTS;
  for (const file of media) {
    const most = Math.min(LARGEST_ATTACHMENT, left);
    const got = await fetchOne(deps, file, most, context);
    if (typeof got === 'string')
      return { missing: got === 'too-large' && left < LARGEST_ATTACHMENT ? tooLargeText() : said(file, got) };
    left -= got.length;
    attachments.push({ name: file.name, mime_type: file.mimeType, bytes: got });
  }
  return { attachments };
}

type Lack = 'too-large' | 'gone' | 'refused' | 'unreachable';

const lacks: Record<Lack, string> = {
  'too-large': 'it is larger than it said',
  gone: 'the homeserver does not have it',
  refused: 'the homeserver does not give it to me',
  unreachable: 'the homeserver cannot fetch it',
};

const said = ({ name }: Media, lack: Lack): string => missingText(name, lacks[lack]);

async function fetchOne(
  { homeserver, clock, log }: FetchingDeps,
  { address, event }: Media,
  most: number,
  { signal, waits }: Pick<WorkContext, 'signal' | 'waits'>,
): Promise<Uint8Array | Lack> {
  let pause = AGAIN_MS.first;
  for (let tries = 1; ;) {
    try {
      return await homeserver.media(address, { most, deadlineMs: FILE_MS }, signal);
    } catch (error) {
      if (!(error instanceof HomeserverError) || error.code === 'aborted') throw error;
      const { status, retryAfterMs } = error.detail;
      // A token that is not ours any more says nothing about the file.
      if (status === 401) throw error;
      if (isRefused(error)) return status === 413 ? 'too-large' : status === 404 ? 'gone' : 'refused';
      log.warn({ event, error: error.message, againInMs: pause }, 'a file does not come');
      if (error.code !== 'rate-limited') {
        if (await answers(homeserver, signal)) tries += 1;
        else await untilItAnswers({ homeserver, clock }, { signal, waits });
        if (tries > MOST_TRIES) return 'unreachable';
      }
      await sleep(clock, retryAfterMs ?? pause, signal);
      pause = Math.min(2 * pause, AGAIN_MS.most);
    }
  }
}

async function untilItAnswers(
  { homeserver, clock }: Pick<FetchingDeps, 'homeserver' | 'clock'>,
  { signal, waits }: Pick<WorkContext, 'signal' | 'waits'>,
): Promise<void> {
  await waits(true);
  let pause = AGAIN_MS.first;
  do {
    await sleep(clock, pause, signal);
    pause = Math.min(2 * pause, AGAIN_MS.most);
  } while (!(await answers(homeserver, signal)));
  await waits(false);
}

async function answers(homeserver: Pick<Homeserver, 'whoami'>, signal: AbortSignal): Promise<boolean> {
  try {
    await homeserver.whoami(signal);
    return true;
  } catch (error) {
    if (!(error instanceof HomeserverError) || error.code === 'aborted') throw error;
    return false;
  }
}
