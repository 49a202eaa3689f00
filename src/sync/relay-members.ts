import type { Sender } from './channel.js';
import { encodeFrame } from './frame.js';

/** One connection that has said who it is. */
export interface RelayMember {
  readonly sender: Sender;
  /** The hash of the token that it came with. */
  readonly token: string;
  sendPresence(data: Uint8Array): void;
  sendEphemeral(data: Uint8Array): void;
  replaced(): void;
}

/** Is told who is connected, and says nothing. */
export type RelayOnlooker = Pick<RelayMember, 'sendPresence'>;

/** Who is connected, one connection per replica id, and the way of ephemeral frames between them. */
export class RelayMembers {
  readonly #members = new Map<string, RelayMember>();
  readonly #onlookers = new Set<RelayOnlooker>();

  constructor(private readonly most: number) {}

  get size(): number {
    return this.#members.size;
  }

  list(): [string, string][] {
    return [...this.#members.values()].map(({ sender }) => [sender.replica, sender.incarnation]);
  }

  /**
   * A replica that connects again takes the place of its older connection, which may be dead without anyone
   * having noticed; only with the token that the older one came with. `taken`: the place is another's.
   */
  join(member: RelayMember): 'joined' | 'taken' | 'full' {
    const { replica, incarnation } = member.sender;
    const older = this.#members.get(replica);
    if (older && older.token !== member.token) return 'taken';
    // Each is told of every other, so that their number counts twice.
    if (!older && this.#members.size >= this.most) return 'full';
    this.#members.set(replica, member);
    older?.replaced();
    if (older?.sender.incarnation !== incarnation) {
      this.#tellOthers(member, encodeFrame(['joined', replica, incarnation]));
    }
    return 'joined';
  }

  watch(onlooker: RelayOnlooker): void {
    this.#onlookers.add(onlooker);
  }

  leave(member: RelayMember): void {
    this.#onlookers.delete(member);
    const { replica, incarnation } = member.sender;
    if (this.#members.get(replica) !== member) return;
    this.#members.delete(replica);
    this.#tellOthers(member, encodeFrame(['gone', replica, incarnation]));
  }

  /** Passes the bytes on as they came, to replicas only: they carry what people were answered. Returns the number of receivers. */
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
    for (const onlooker of this.#onlookers) onlooker.sendPresence(data);
  }
}
