import { z } from 'zod';
import type { Homeserver } from '../../matrix/homeserver.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import { Lacking } from '../lacking.js';
import type { Records } from '../records.js';

const DIRECT = 'm.direct';
/** `{mxid: [room id]}`; a list that is none counts as empty. */
const directContent = z.record(z.string(), z.array(z.unknown()).catch([]));
/** How often a write that another replica's took back is made again at once; then the next look does it. */
const MOST_WRITES = 5;
/** A write of another replica that read before ours may land so long after it; longer, the next note or start finds it. */
const WATCH_MS = 120_000;

/**
 * Direct chats of the account: what `m.direct` lists, and what we were invited to as one. Account data is written whole and
 * keeps the last write, so two replicas that write at once may take an entry of each other back: each adds what it
 * knows to what it reads, reads back, and looks again for a while (docs/decisions/0019).
 */
export class DirectChats {
  /** Room to person: invited to as direct, seen by this process. */
  private readonly noted = new Map<string, string>();
  private listed = new Set<string>();
  private watchUntil: number;
  private readonly lacking: Lacking;

  constructor(
    private readonly deps: {
      homeserver: Pick<Homeserver, 'accountData' | 'setAccountData'>;
      records: Records;
      clock: Clock;
      log: Log;
    },
  ) {
    this.watchUntil = deps.clock.monotonic() + WATCH_MS;
    this.lacking = new Lacking(deps.clock);
  }

  /** We were invited there by that person as to a direct chat. */
  note(room: string, person: string): void {
    if (this.noted.get(room) === person) return;
    this.noted.set(room, person);
    this.watchUntil = this.deps.clock.monotonic() + WATCH_MS;
  }

  left(room: string): void {
    this.noted.delete(room);
  }

  /** As far as this process knows without asking. */
  known(room: string): boolean {
    return this.noted.has(room) || this.listed.has(room) || this.deps.records.room(room)?.direct === true;
  }

  /** Rejects with {@link HomeserverError} while nobody can tell. */
  async has(room: string, signal?: AbortSignal): Promise<boolean> {
    if (this.noted.has(room) || this.deps.records.room(room)?.direct === true) return true;
    await this.lacking.orNone(() => this.read(signal), undefined);
    return this.listed.has(room);
  }

  /** `m.direct` lists all that it should. Rejects with {@link HomeserverError}; what is missing then is written later. */
  async ensure(signal?: AbortSignal): Promise<void> {
    for (let writes = 0; writes <= MOST_WRITES; writes += 1) {
      const content = await this.read(signal);
      const missing = this.missing();
      if (missing.size === 0) return;
      const merged: Record<string, unknown> = { ...content };
      for (const [room, person] of missing) {
        merged[person] = [...(directContent.parse({ list: merged[person] ?? [] })['list'] ?? []), room];
      }
      await this.deps.homeserver.setAccountData(DIRECT, merged, signal);
      this.watchUntil = this.deps.clock.monotonic() + WATCH_MS;
    }
    this.deps.log.warn({}, 'the list of direct chats is written by others at once: tried again soon');
  }

  /** Looks again while a write may still have been taken back. Never rejects. */
  async sweep(signal: AbortSignal): Promise<void> {
    if (this.deps.clock.monotonic() > this.watchUntil) return;
    try {
      await this.ensure(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.deps.log.warn({ error: String(error) }, 'the list of direct chats could not be looked at');
    }
  }

  private missing(): Map<string, string> {
    const missing = new Map<string, string>();
    for (const [key, { direct, matrix_user_id }] of this.deps.records.state.entries('room')) {
      const room = key.slice('matrix_room:'.length);
      if (direct === true && typeof matrix_user_id === 'string') missing.set(room, matrix_user_id);
    }
    for (const [room, person] of this.noted) missing.set(room, person);
    for (const room of this.listed) missing.delete(room);
    return missing;
  }

  private async read(signal: AbortSignal | undefined): Promise<Record<string, unknown>> {
    const content = (await this.deps.homeserver.accountData(DIRECT, signal)) ?? {};
    const lists = Object.values(directContent.parse(content)).flat();
    this.listed = new Set(lists.filter((room) => typeof room === 'string'));
    return content;
  }
}
