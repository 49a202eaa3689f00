import type { SimulatedClient } from './client.js';
import type { SimulatedHomeserver } from './homeserver.js';

/** A person with a client. */
export class SimulatedPerson {
  readonly client: SimulatedClient;
  #txn = 0;

  constructor(
    private readonly server: SimulatedHomeserver,
    readonly name: string,
  ) {
    this.client = server.connect(name, 'PHONE', { name });
  }

  get mxid(): string {
    return this.client.user;
  }

  says(room: string, body: string): Promise<string> {
    return this.sends(room, { msgtype: 'm.text', body });
  }

  sends(room: string, content: object, type = 'm.room.message'): Promise<string> {
    this.#txn += 1;
    return this.client.send(room, type, `${this.name}-${this.#txn}`, content);
  }

  /** As clients write it: a text with a star for those who know no edits. */
  edits(room: string, event: string, body: string, more: object = {}): Promise<string> {
    return this.sends(room, {
      msgtype: 'm.text',
      body: `* ${body}`,
      'm.new_content': { msgtype: 'm.text', body, ...more },
      'm.relates_to': { rel_type: 'm.replace', event_id: event },
    });
  }

  reacts(room: string, target: string, key: string): Promise<string> {
    const relation = { rel_type: 'm.annotation', event_id: target, key };
    return this.sends(room, { 'm.relates_to': relation }, 'm.reaction');
  }

  redacts(room: string, event: string): Promise<string> {
    this.#txn += 1;
    return this.client.redact(room, event, `${this.name}-${this.#txn}`);
  }

  /** Rooms that this person is invited to now. */
  invites(): string[] {
    return this.server.rooms.filter((room) => this.server.room(room).membership(this.mxid) === 'invite');
  }

  async acceptsAll(): Promise<string[]> {
    const rooms = this.invites();
    for (const room of rooms) await this.client.join(room);
    return rooms;
  }
}
