import { createHash } from 'node:crypto';
import type { Task } from '../tasks/task.js';
import { persistedState, type PersistedState } from './persisted-state.js';

const VERSION = 1;
/** The checksum is of the bytes between this and the end, so that no flipped bit passes for another value. */
const HEAD = /^\{"version":(\d{1,9}),"checksum":"([0-9a-f]{64})","state":/;
const LONGEST_HEAD = 128;
const TAIL = '}\n';

/** What the bytes of a snapshot are. */
export type ReadSnapshot =
  | { readonly is: 'good'; readonly state: PersistedState }
  | { readonly is: 'damaged'; readonly reason: string }
  /** A later version of Understudy wrote it. */
  | { readonly is: 'newer'; readonly version: number };

/** A snapshot as one JSON text with a checksum. Pauses at each task: there may be many thousands of them. */
export function* snapshotBytes(state: PersistedState): Generator<void, Uint8Array> {
  const { tasks, ...rest } = state;
  const parts = [Buffer.from('{"tasks":[')];
  for (const [at, task] of tasks.entries()) {
    parts.push(Buffer.from(`${at === 0 ? '' : ','}\n${JSON.stringify(task satisfies Task)}`));
    yield;
  }
  parts.push(Buffer.from(`\n],${JSON.stringify(rest).slice(1)}`));
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  const head = `{"version":${VERSION},"checksum":"${hash.digest('hex')}","state":`;
  return Buffer.concat([Buffer.from(head), ...parts, Buffer.from(TAIL)]);
}

export function readSnapshot(bytes: Uint8Array): ReadSnapshot {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head = HEAD.exec(data.toString('latin1', 0, LONGEST_HEAD));
  if (head === null) return { is: 'damaged', reason: data.length === 0 ? 'empty' : 'no snapshot' };
  const version = Number(head[1]);
  if (version > VERSION) return { is: 'newer', version };
  const body = data.subarray(head[0].length, -TAIL.length);
  if (data.toString('latin1', data.length - TAIL.length) !== TAIL) {
    return { is: 'damaged', reason: 'cut off' };
  }
  if (createHash('sha256').update(body).digest('hex') !== head[2]) {
    return { is: 'damaged', reason: 'the checksum does not fit' };
  }
  return parse(body.toString('utf8'));
}

function parse(text: string): ReadSnapshot {
  try {
    const parsed = persistedState.safeParse(JSON.parse(text));
    if (parsed.success) return { is: 'good', state: parsed.data };
    const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.code}`);
    return { is: 'damaged', reason: faults.slice(0, 3).join(', ') };
  } catch (error) {
    if (error instanceof SyntaxError) return { is: 'damaged', reason: 'not JSON' };
    throw error;
  }
}
