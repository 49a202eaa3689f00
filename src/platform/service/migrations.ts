import { sql, type Kysely, type Migration, type MigrationProvider } from 'kysely';

/** Times and counters are `bigint` on both databases, everything else is `text`. */
const first: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('chats')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('agent', 'text', (column) => column.notNull())
      .addColumn('title', 'text')
      .addColumn('parent', 'text')
      .addColumn('context', 'text', (column) => column.notNull())
      .addColumn('runs', 'bigint', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .execute();
    await db.schema
      .createTable('turns')
      .addColumn('context', 'text', (column) => column.notNull())
      .addColumn('position', 'bigint', (column) => column.notNull())
      .addColumn('role', 'text', (column) => column.notNull())
      .addColumn('text', 'text', (column) => column.notNull())
      .addColumn('author', 'text')
      .addColumn('run_key', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('turns_pk', ['context', 'position', 'role'])
      .execute();
    await db.schema.createIndex('turns_run_key').on('turns').column('run_key').execute();
    await db.schema
      .createTable('saved_contexts')
      .addColumn('chat', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('context', 'text', (column) => column.notNull())
      .addColumn('saved_at', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('saved_contexts_pk', ['chat', 'name'])
      .execute();
    await db.schema
      .createTable('keys')
      .addColumn('operation', 'text', (column) => column.notNull())
      .addColumn('key', 'text', (column) => column.notNull())
      .addColumn('result', 'text', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('keys_pk', ['operation', 'key'])
      .execute();
    await db.schema
      .createTable('runs')
      .addColumn('key', 'text', (column) => column.primaryKey())
      .addColumn('chat', 'text')
      .addColumn('context', 'text')
      .addColumn('position', 'bigint', (column) => column.notNull())
      .addColumn('number', 'bigint', (column) => column.notNull())
      .addColumn('agent', 'text')
      .addColumn('prompt', 'text', (column) => column.notNull())
      .addColumn('status', 'text', (column) => column.notNull())
      .addColumn('executor', 'text')
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addColumn('started_at', 'bigint')
      .addColumn('finished_at', 'bigint')
      .addColumn('text', 'text')
      .addColumn('error_code', 'text')
      .addColumn('error_message', 'text')
      .execute();
    await db.schema
      .createIndex('runs_unfinished')
      .on('runs')
      .columns(['chat', 'position'])
      .where(sql.ref('status'), 'in', sql`('queued', 'running')`)
      .execute();
    await db.schema
      .createTable('run_events')
      .addColumn('run_key', 'text', (column) => column.notNull())
      .addColumn('invocation', 'bigint', (column) => column.notNull())
      .addColumn('seq', 'bigint', (column) => column.notNull())
      .addColumn('event', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('run_events_pk', ['run_key', 'invocation', 'seq'])
      .execute();
    await db.schema
      .createTable('invocations')
      .addColumn('run_key', 'text', (column) => column.notNull())
      .addColumn('number', 'bigint', (column) => column.notNull())
      .addColumn('started_at', 'bigint', (column) => column.notNull())
      .addColumn('seed', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('invocations_pk', ['run_key', 'number'])
      .execute();
    await db.schema
      .createTable('approvals')
      .addColumn('run_key', 'text', (column) => column.notNull())
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('asked_at', 'bigint', (column) => column.notNull())
      .addColumn('decision', 'text')
      .addColumn('decided_at', 'bigint')
      .addPrimaryKeyConstraint('approvals_pk', ['run_key', 'id'])
      .execute();
    await db.schema
      .createTable('processes')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('beat', 'bigint', (column) => column.notNull())
      .execute();
  },
};

const attachments: Migration = {
  async up(db) {
    await db.schema
      .createTable('attachments')
      .addColumn('run_key', 'text', (column) => column.notNull())
      .addColumn('number', 'bigint', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('mime_type', 'text', (column) => column.notNull())
      .addColumn('size', 'bigint', (column) => column.notNull())
      // SQLite takes any name of a type, and keeps what it is given.
      .addColumn('bytes', 'bytea', (column) => column.notNull())
      .addPrimaryKeyConstraint('attachments_pk', ['run_key', 'number'])
      .execute();
  },
};

const decisions: Migration = {
  async up(db: Kysely<unknown>) {
    // SQLite adds one column at a time.
    for (const column of ['kind', 'decided_by', 'decided_key']) {
      await db.schema.alterTable('approvals').addColumn(column, 'text').execute();
    }
    await db.schema
      .createTable('standing_approvals')
      .addColumn('chat', 'text', (column) => column.notNull())
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('granted_at', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('standing_approvals_pk', ['chat', 'kind'])
      .execute();
  },
};

const parts: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema.alterTable('chats').addColumn('part_of', 'text').execute();
    await db.schema.createIndex('chats_part_of').on('chats').column('part_of').execute();
  },
};

/** Only ever appended to; a database that knows a migration that is not here is a newer version's. */
export const migrations: MigrationProvider = {
  getMigrations: async () => ({
    '0001-first': first,
    '0002-attachments': attachments,
    '0003-decisions': decisions,
    '0004-parts': parts,
  }),
};
