import { createHash, randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Chat } from '../client.js';
import { chatBody } from '../wire.js';
import { copyTurns, copyTurnsBefore } from './contexts.js';
import { Refusal } from './errors.js';
import { once } from './keys.js';
import type { Database, Trx } from './tables.js';

const nothing = z.object({});

/** Chats and their saved contexts. Every write is carried out once per key (P1). */
export class Chats {
  constructor(
    private readonly db: Database,
    private readonly now: () => number,
  ) {}

  /** `agentExists` is asked only by the first call of a key. A part of a part is a part of the same whole. */
  create(
    key: string,
    request: { agent: string; title?: string | undefined; part_of?: string | undefined },
    agentExists: () => Promise<boolean>,
  ): Promise<Chat> {
    return once(this.db, 'create', key, chatBody, this.now(), async (trx) => {
      if (!(await agentExists())) throw new Refusal('unknown-agent', `there is no agent "${request.agent}"`);
      const part_of = request.part_of === undefined ? null : await this.wholeOf(trx, request.part_of);
      // So that the whole is not deleted without this part.
      if (part_of !== null) await this.lock(trx, part_of);
      const chat = { agent: request.agent, title: request.title ?? null, parent: null, part_of, runs: 0 };
      return this.insert(trx, { ...chat, id: chatId('create', key), context: randomUUID() });
    });
  }

  /** The new chat's history ends before the run keyed `before`, or else before the first unfinished run. */
  branch(key: string, parent: string, before: string | undefined): Promise<Chat> {
    return once(this.db, 'branch', key, chatBody, this.now(), async (trx) => {
      const { agent, title, runs, context: from } = await this.lock(trx, parent);
      const context = randomUUID();
      if (before === undefined) await copyTurns(trx, from, context);
      else await copyTurnsBefore(trx, { chat: parent, context: from, run: before }, context);
      const id = chatId('branch', key);
      return this.insert(trx, { agent, title, parent, part_of: null, runs, context, id });
    });
  }

  /** Saving under a name that is taken replaces what was saved there. */
  async save(key: string, chat: string, name: string): Promise<void> {
    await once(this.db, 'save', key, nothing, this.now(), async (trx) => {
      const { context: from } = await this.lock(trx, chat);
      const context = randomUUID();
      await copyTurns(trx, from, context);
      await trx
        .insertInto('saved_contexts')
        .values({ chat, name, context, saved_at: this.now() })
        .onConflict((taken) => taken.columns(['chat', 'name']).doUpdateSet({ context, saved_at: this.now() }))
        .execute();
      return {};
    });
  }

  /** The chat goes on from a copy of what was saved; a run in progress ends in the history that it began in. */
  async load(key: string, chat: string, name: string): Promise<void> {
    await once(this.db, 'load', key, nothing, this.now(), async (trx) => {
      await this.lock(trx, chat);
      const saved = await trx
        .selectFrom('saved_contexts')
        .select('context')
        .where('chat', '=', chat)
        .where('name', '=', name)
        .executeTakeFirst();
      if (!saved) throw new Refusal('no-such-context', 'no context of that name was saved here');
      const context = randomUUID();
      await copyTurns(trx, saved.context, context);
      await trx.updateTable('chats').set({ context }).where('id', '=', chat).execute();
      return {};
    });
  }

  /** What was saved in this chat, by name. */
  async saved(chat: string): Promise<{ name: string; saved_at: number }[]> {
    const known = await this.db.selectFrom('chats').select('id').where('id', '=', chat).executeTakeFirst();
    if (!known) throw noSuchChat();
    return this.db
      .selectFrom('saved_contexts')
      .select(['name', 'saved_at'])
      .where('chat', '=', chat)
      .orderBy('name')
      .execute();
  }

  private async wholeOf(trx: Trx, id: string): Promise<string> {
    const chat = await trx.selectFrom('chats').select('part_of').where('id', '=', id).executeTakeFirst();
    return chat?.part_of ?? id;
  }

  /** The chat, with no run beginning in it until the transaction ends: its turns and its counter go together. */
  private async lock(trx: Trx, id: string) {
    const chat = await trx
      .updateTable('chats')
      .set((row) => ({ runs: row.ref('runs') }))
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst();
    if (!chat) throw noSuchChat();
    return chat;
  }

  private async insert(
    trx: Trx,
    chat: {
      id: string;
      agent: string;
      title: string | null;
      parent: string | null;
      part_of: string | null;
      context: string;
      runs: number;
    },
  ): Promise<Chat> {
    await trx
      .insertInto('chats')
      .values({ ...chat, created_at: this.now() })
      .execute();
    return { platform_chat_id: chat.id, agent: chat.agent };
  }
}

const noSuchChat = () => new Refusal('no-such-chat', 'there is no such chat');

/** Follows from the key, so that a platform that lost its database gives the same room the same id again. */
function chatId(operation: 'create' | 'branch', key: string): string {
  return `chat_${createHash('sha256').update(`${operation}\0${key}`).digest('base64url').slice(0, 22)}`;
}
