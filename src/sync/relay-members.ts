import type { Sender } from './channel.js';
import { encodeFrame } from './frame.js';

/** One connection that has said who it is. */
export interface RelayMember {
  readonly sender: Sender;
  /** Which token it came with (see `TokenRing.identify`). */
  readonly token: number;
  sendPresence(data: Uint8Array): void;
  sendEphemeral(data: Uint8Array): void;
  replaced(): void;
}

/** Who is connected, one connection per replica id, and the way of ephemeral frames between them. */
export class RelayMembers {
  readonly #members = new Map<string, RelayMember>();

  get size(): number {
    return this.#members.size;
  }

  list(): [string, string][] {
    return [...this.#members.values()].map(({ sender }) => [sender.replica, sender.incarnation]);
  }

  /**
   * A replica that connects again takes the place of its older connection, which may be dead without anyone
   * having noticed; only with the token that the older one came with. False: the place is another's.
   */
  join(member: RelayMember): boolean {
    const { replica, incarnation } = member.sender;
    const older = this.#members.get(replica);
    if (older && older.token !== member.token) return false;
    this.#members.set(replica, member);
    older?.replaced();
    if (older?.sender.incarnation !== incarnation) {
      this.#tellOthers(member, encodeFrame(['joined', replica, incarnation]));
    }
    return true;
  }

  leave(member: RelayMember): void {
    const { replica, incarnation } = member.sender;
    if (this.#members.get(replica) !== member) return;
    this.#members.delete(replica);
    this.#tellOthers(member, encodeFrame(['gone', replica, incarnation]));
  }

  /** Passes the bytes on as they came; resolves no body. Returns the number of receivers. */
  forward(from: RelayMember, to: string | null, data: Uint8Array): number {
    if (to !== null) {
      const receiver = this.#members.get(to);
      receiver?.sendEphemeral(data);
      return receiver ? 1 : 0;
    }
    for (const member of this.#members.values()) if (member !== from) member.sendEphemeral(data);
    return this.#members.size - 1;
  }

  #tellOthers(about: RelayMember, data: Uint8Array): void {
    for (const member of this.#members.values()) if (member !== about) member.sendPresence(data);
  }
}
