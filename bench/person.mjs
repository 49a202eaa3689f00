import { randomUUID } from 'node:crypto';
import { ensureUsers } from '../dist/dev/users.js';

const DEADLINE_MS = 30_000;
const DELIVERY = 'dev.understudy.delivery';

/** Somebody at a Matrix client: plain requests to the homeserver, none of the product's Matrix code. */
export class Person {
  #since;

  constructor(url, account, password) {
    this.url = url;
    this.id = account.user_id;
    this.password = password;
    this.token = account.access_token;
  }

  /** Makes a new account and signs in. */
  static async register({ url, registrationSecret }, name) {
    const password = randomUUID();
    const user = { name: `${name}-${randomUUID().slice(0, 8)}`, password };
    const [account] = await ensureUsers(url, registrationSecret, [user]);
    if (account === undefined) throw new Error(`the account ${user.name} was there already`);
    return new Person(url, account, password);
  }

  get localpart() {
    return this.id.slice(1, this.id.indexOf(':'));
  }

  async createRoom(invited) {
    const body = { preset: 'private_chat', invite: [invited] };
    return (await this.#call('POST', 'createRoom', { body })).room_id;
  }

  async say(room, text) {
    const path = `rooms/${encodeURIComponent(room)}/send/m.room.message/${randomUUID()}`;
    return (await this.#call('PUT', path, { body: { msgtype: 'm.text', body: text } })).event_id;
  }

  async members(room) {
    const { joined } = await this.#call('GET', `rooms/${encodeURIComponent(room)}/joined_members`);
    return Object.keys(joined);
  }

  /** From here on {@link answer} looks. */
  async catchUp() {
    this.#since = (await this.#sync(0)).next_batch;
  }

  /**
   * Waits for the whole answer to a prompt, as a client that keeps a /sync open sees it: when it came, and the replica
   * that sent it by what the event says.
   */
  async answer(room, prompt) {
    const until = performance.now() + DEADLINE_MS;
    while (performance.now() < until) {
      const page = await this.#sync(5000);
      const at = performance.now();
      this.#since = page.next_batch;
      for (const { content } of page.rooms?.join?.[room]?.timeline?.events ?? []) {
        const mark = content[DELIVERY];
        if (mark?.source === prompt && mark.final === true) return { at, replica: mark.replica };
      }
    }
    throw new Error(`no answer in ${DEADLINE_MS} ms`);
  }

  #sync(timeout) {
    const filter = JSON.stringify({ presence: { not_types: ['*'] }, room: { timeline: { limit: 100 } } });
    const query = { filter, timeout, ...(this.#since !== undefined && { since: this.#since }) };
    return this.#call('GET', 'sync', { query });
  }

  async #call(method, path, { query = {}, body } = {}) {
    const target = new URL(`/_matrix/client/v3/${path}`, this.url);
    for (const [name, value] of Object.entries(query)) target.searchParams.set(name, String(value));
    const answer = await fetch(target, {
      method,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.token}` },
      signal: AbortSignal.timeout(DEADLINE_MS),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: HTTP ${answer.status} ${await answer.text()}`);
    return answer.json();
  }
}
