import type { Batch, RoomBatch } from '../matrix/batch.js';
import type { RoomEvent } from '../matrix/homeserver.js';
import type { Log } from '../telemetry/log.js';
import type { Media } from './attachments/media.js';
import type { Staging } from './attachments/staging.js';
import { endedAs } from './ended-as.js';
import type { Engine } from './engine.js';
import type { EditPolicy } from './edits.js';
import { goesOnFrom, outsideOf } from './entrance.js';
import { eventsOf, type Meaning, meaningOf } from './intake.js';
import type { JournalEntry, JournalState } from './journal.js';
import type { Records } from './records.js';
import type { Source, SourceKind, SourceRef } from './source.js';
import type { MadeRoom } from './surface/rooms.js';

export interface ReceiverDeps {
  log: Log;
  /** Our own mxid. */
  self: string;
  engine: Engine;
  records: Records;
  journal: { readonly state: JournalState; append(entries: JournalEntry[]): Promise<void> };
  /** The start is over: what comes now is live. */
  live: () => boolean;
  /** Who may talk to the bot; of others nothing is a source. */
  allowed: (mxid: string) => boolean;
  /** Whether a message of anybody else is looked at all the same. */
  heedsStranger: (ref: SourceRef) => boolean;
  /** Whether a reaction may be about something of ours. */
  heedsReaction: (event: RoomEvent, room: string) => boolean;
  /** Everything that is read of a room. */
  onEvent: (room: string, event: RoomEvent) => void;
  /** More of a source is known. */
  classify: (source: Source) => void;
  onEdit: EditPolicy;
  /** A room that was made for a source stands in the account (PROTOCOL P3, adopt). */
  onMade: (made: MadeRoom) => void;
  staging: Pick<Staging, 'add' | 'next' | 'redacted'>;
  onInvite: (room: string, invite: { inviter: string; direct: boolean; via?: string[] }) => void;
  /** The bot joined as to a direct chat. */
  onDirect: (room: string, person: string) => void;
  /** A message of our own. */
  onOwn: (room: string, event: RoomEvent) => void;
  /** Our membership in a room, our display name there with it. */
  onMember: (room: string) => void;
  /** The room that this state event puts in the place of one of ours: it is joined as if its sender had invited us. */
  succeeds: (room: string, event: RoomEvent) => { room: string; via: string[] } | undefined;
  /** The chat whose name or place in its space this state event puts back behind its record (PROTOCOL P3). */
  behind: (room: string, event: RoomEvent) => string | undefined;
  onBehind: (chat: string) => void;
  /** The room is no longer a pending invite: joined, or left. */
  onJoined: (room: string) => void;
  /** The bot is in the room no more. */
  onLeft: (room: string, event: { id: string; ts: number }) => void;
  onEncrypted: (room: string) => void;
}

/** How an event is taken in. */
interface Taking {
  live: boolean;
  /** Said while we were neither in the room nor invited. */
  outside: boolean;
}

/**
 * Takes one batch of /sync in: our own events to the sources they answer, people's events as new sources, and all
 * that is unsettled into the journal, in one durable append with the new position (PROTOCOL C3). No wait stands before
 * the append: the engine must not settle or freeze what the journal does not know yet.
 */
export class Receiver {
  private encryptionTold = false;

  constructor(private readonly deps: ReceiverDeps) {}

  async take(batch: Batch): Promise<void> {
    const entries: JournalEntry[] = [];
    for (const room of batch.rooms) {
      entries.push(...this.takeRoom(room));
      entries.push(...this.joined(room.room, entries));
    }
    for (const { room, state } of batch.invited) {
      const invite = state.find(
        (event) => event.type === 'm.room.member' && event.state_key === this.deps.self,
      );
      if (invite === undefined) continue;
      const [inviter, direct] = [invite.sender, invite.content['is_direct'] === true];
      entries.push({ t: 'invite', room, inviter, direct });
      this.deps.onInvite(room, { inviter, direct });
    }
    for (const { room, events } of batch.left) {
      entries.push(...this.joined(room, entries));
      this.left(room, events);
    }
    for (const { room, from } of batch.owed) entries.push({ t: 'owed', room, from });
    for (const room of batch.paid) entries.push({ t: 'paid', room });
    if (batch.position !== undefined) entries.push({ t: 'position', token: batch.position });
    if (entries.length > 0) await this.deps.journal.append(entries);
    this.deps.engine.evaluate();
  }

  /** Told once it is known who took the bot out of the room, and when. */
  private left(room: string, events: RoomEvent[]): void {
    const { self, onLeft } = this.deps;
    for (const source of this.deps.engine.all()) if (source.ref.room === room) source.close(true);
    const left = events.findLast((event) => event.type === 'm.room.member' && event.state_key === self);
    if (left !== undefined) onLeft(room, { id: left.event_id, ts: left.origin_server_ts });
  }

  private joined(room: string, entries: readonly JournalEntry[]): JournalEntry[] {
    this.deps.onJoined(room);
    const isNoted = entries.some((entry) => entry.t === 'invite' && entry.room === room);
    return isNoted || this.deps.journal.state.invites.has(room) ? [{ t: 'joined', room }] : [];
  }

  /** Reads a source's own events out of a reading from it on, and rebuilds it. */
  rebuild(source: Source, events: RoomEvent[]): void {
    const sent = [];
    for (const event of events) {
      const meaning = meaningOf(source.ref.room, event, this.deps.self);
      if (meaning.is === 'sent' && meaning.source === source.id) sent.push(meaning.event);
      if (event.event_id === source.id && source.ref.kind === 'message') source.learn(event);
      if (meaning.is === 'edit') source.edit(meaning.edit);
    }
    source.rebuild(sent);
  }

  /** Takes a room's earlier events in, after genesis fell by a merge (PROTOCOL C5). */
  async takeEarlier(room: string, events: RoomEvent[]): Promise<void> {
    const outside = outsideOf(events, this.deps.self, goesOnFrom(events, this.deps.records));
    const entries = events.flatMap((event) =>
      this.takeEvent(room, event, { live: false, outside: outside.has(event.event_id) }),
    );
    if (entries.length > 0) await this.deps.journal.append(entries);
  }

  private takeRoom(room: RoomBatch): JournalEntry[] {
    const { events: before, goesOn } = room.before;
    for (const source of this.deps.engine.all()) {
      if (source.closed && source.ref.room === room.room) source.close(false);
    }
    const live = this.deps.live() && room.filled;
    const outside = outsideOf([...before, ...room.events], this.deps.self, goesOn);
    return [...before, ...eventsOf(room)].flatMap((event) =>
      this.takeEvent(room.room, event, { live, outside: outside.has(event.event_id) }),
    );
  }

  private takeEvent(room: string, event: RoomEvent, how: Taking): JournalEntry[] {
    const { self, onOwn, onDirect, onMember } = this.deps;
    this.deps.onEvent(room, event);
    if (event.sender === self) onOwn(room, event);
    if (event.type === 'm.room.member' && event.state_key === self) onMember(room);
    const chat = event.state_key === undefined ? undefined : this.deps.behind(room, event);
    if (chat !== undefined) {
      this.deps.onBehind(chat);
      return [{ t: 'derived', room: chat }];
    }
    const next = event.state_key === undefined ? undefined : this.deps.succeeds(room, event);
    if (next !== undefined && event.sender !== self) {
      const invite = { inviter: event.sender, direct: false, via: next.via };
      this.deps.onInvite(next.room, invite);
      return [{ t: 'invite', room: next.room, ...invite }];
    }
    const meaning = meaningOf(room, event, self);
    switch (meaning.is) {
      case 'source':
        if (meaning.direct === true) onDirect(room, meaning.ref.sender);
        return this.takeSource(meaning.ref, meaning.event, how);
      case 'edit':
        return this.takeEdit(meaning, how);
      case 'sent':
        return this.takeSent(room, meaning, event);
      case 'media':
        if (!how.outside) this.takeMedia(meaning.ref, meaning.media);
        return [];
      case 'redaction':
        this.deps.staging.redacted(room, meaning.target);
        for (const source of this.deps.engine.all()) {
          if (source.ref.room === room) this.redacted(source, meaning.target);
        }
        return [];
      case 'made':
        this.deps.onMade(meaning);
        return [];
      case 'encryption':
        this.tellOfEncryption(room);
        return [];
      case 'nothing':
        return [];
    }
  }

  /** Once: it is so for every room. */
  private tellOfEncryption(room: string): void {
    if (this.encryptionTold) return;
    this.encryptionTold = true;
    this.deps.log.warn(
      { room },
      'the homeserver encrypts the rooms that I make, and what people write there I cannot read: set its encryption_enabled_by_default_for_room_type to off or invite',
    );
  }

  /** Nothing is owed for it by itself, so that the position may pass it (docs/decisions/0021). */
  private takeMedia(ref: SourceRef, media: Media): void {
    const { allowed, records, staging } = this.deps;
    if (!allowed(ref.sender) || ref.ts < (records.genesis() ?? 0) || records.forgotten(ref)) return;
    staging.add(ref.room, ref.sender, media);
  }

  private takeSource(ref: SourceRef, event: RoomEvent, { live, outside }: Taking): JournalEntry[] {
    const known = this.deps.engine.get(ref.id);
    if (known !== undefined) {
      if (isEvent(known.ref)) known.learn(event);
      this.deps.classify(known);
      return [];
    }
    if (outside) return [];
    if (ref.kind === 'encrypted') this.deps.onEncrypted(ref.room);
    if (!this.deps.allowed(ref.sender) && !this.deps.heedsStranger(ref)) return [];
    if (ref.kind === 'reaction' && !this.deps.heedsReaction(event, ref.room)) return [];
    const { records } = this.deps;
    if (ref.ts < (records.genesis() ?? 0) || records.marked(ref) || records.forgotten(ref)) return [];
    const source = this.deps.engine.add(ref, { whole: isEvent(ref), stale: !live });
    if (live) source.arrived = this.deps.staging.next();
    source.learn(event);
    this.deps.classify(source);
    return [{ t: 'source', ref }];
  }

  /** An edit changes what its sender asks; where each is answered, it is also a source behind it. */
  private takeEdit({ edit, ref, event }: Extract<Meaning, { is: 'edit' }>, how: Taking): JournalEntry[] {
    const source = this.deps.engine.get(edit.target);
    if (source?.ref.room === ref.room && source.edit(edit)) this.deps.classify(source);
    const isOwn = this.deps.onEdit === 'answer-again' && this.deps.allowed(ref.sender);
    return isOwn ? this.takeSource(ref, event, how) : [];
  }

  /** An own event of a source that is not in memory reopens the look at it (PROTOCOL D7). */
  private takeSent(
    room: string,
    meaning: { source: string; event: Parameters<Source['append']>[0] },
    event: RoomEvent,
  ): JournalEntry[] {
    const known = this.deps.engine.get(meaning.source);
    if (known !== undefined) {
      if (!known.append(meaning.event)) return [];
      this.deps.engine.evaluate();
      return this.reopened(known);
    }
    const ref: SourceRef = {
      id: meaning.source,
      room,
      sender: event.sender,
      ts: event.origin_server_ts,
      kind: kindOf(meaning.source),
    };
    const settled = this.deps.records.marked(ref) || this.deps.records.forgotten(ref);
    const source = this.deps.engine.add(ref, { whole: false, stale: true });
    source.ahead = true;
    if (settled) {
      source.settled = endedAs(this.deps.records, ref);
      source.settledAt = source.seenAt;
    }
    source.append(meaning.event);
    return [{ t: 'source', ref }];
  }

  /** What a late event makes owed is unsettled again: the position must not pass it unjournaled (PROTOCOL C3). */
  private reopened(source: Source): JournalEntry[] {
    if (!source.released) return [];
    source.released = false;
    return [{ t: 'source', ref: source.ref }];
  }

  private redacted(source: Source, target: string): void {
    source.withdrawFile(target);
    if (source.id === target || source.target === target) source.withdraw();
    else if (source.edits.delete(target)) this.deps.classify(source);
    else if (!source.redact(target)) return;
    this.deps.engine.evaluate();
  }
}

/** Its own event is the first of it: nothing of it stands in the room before. */
const isEvent = ({ kind }: SourceRef): boolean => kind === 'message' || kind === 'reaction';

function kindOf(id: string): SourceKind {
  if (id.startsWith('onboarding:')) return 'greeting';
  if (id.startsWith('stranger:')) return 'stranger';
  return id.startsWith('encrypted:') ? 'encrypted' : 'message';
}
