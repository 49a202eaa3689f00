import type { z } from 'zod';
import { productSchemas, type Schemas } from '../../documents/migrations/schemas.js';
import { lookAtFolder } from '../../node/migrations/folder.js';
import { migrationsAnswer } from '../../node/migrations/questions.js';
import { systemClock } from '../../time/clock.js';
import { SettingsReader } from '../config/reader.js';
import { storageKeys } from '../config/storage-keys.js';
import { askHolder, assertDocumentsIn, folderToLookAt } from '../inspect/holder.js';
import { printable } from '../printable.js';
import type { Invocation } from '../process.js';

/** The version of the output of --json; a field is only ever added under one version. */
const version = 1;

type Standing = z.infer<typeof migrationsAnswer>;

/** `understudy migrate status`: of the process that holds the folder; from its files when there is none. */
export async function run(
  invocation: Invocation,
  options: Record<string, unknown>,
  _argument?: string,
  _list?: readonly string[],
  schemas: Schemas = productSchemas,
): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const dir = await folderToLookAt(read);
  const found = await askHolder(dir, 'migrations');
  if (found === undefined) assertDocumentsIn(dir);
  const standing: Standing =
    found === undefined
      ? fromFolder(
          await lookAtFolder({ dataDir: dir, storageKeys: storageKeys(read), schemas, clock: systemClock }),
        )
      : migrationsAnswer.parse(found.answer);
  if (options['json'] === true) {
    process.stdout.write(
      `${JSON.stringify({ version, data_dir: dir, ...jsonOf(standing) }, undefined, 2)}\n`,
    );
  } else process.stdout.write(`${linesOf(standing).join('\n')}\n`);
  return 0;
}

function fromFolder({ known, documents, members, held }: Awaited<ReturnType<typeof lookAtFolder>>): Standing {
  const counts = new Map<number, number>();
  for (const { schema } of documents) counts.set(schema, (counts.get(schema) ?? 0) + 1);
  const newer = documents.filter(({ schema }) => schema > known);
  return {
    known,
    documents: [...counts].map(([schema, count]) => ({ schema, count })).sort((a, b) => a.schema - b.schema),
    due: documents.filter(({ schema, to, records }) => schema !== to || records > 0).length,
    members,
    held,
    readOnly: newer.map(({ name, schema }) => ({ document: name, schema })),
  };
}

const jsonOf = ({ readOnly: read_only, ...rest }: Standing): object => ({ ...rest, read_only });

function linesOf({ known, documents, due, members, held, readOnly, fault }: Standing): string[] {
  const behind = members.filter(({ schema }) => schema < known);
  return [
    `this software knows schema ${known}`,
    ...documents.map(({ schema, count }) => `${count} documents have schema ${schema}`),
    ...(due === 0 ? ['nothing is to be migrated'] : [`${due} documents are to be migrated`]),
    ...behind.map(({ replica, schema }) => `! ${printable(replica)} knows schema ${schema}: update it first`),
    ...held.map(
      (schema) => `! schema ${schema} is held since a rollback: \`understudy migrate run\` turns it on again`,
    ),
    ...(readOnly.length === 0
      ? []
      : [`! ${readOnly.length} documents are of a newer release, and read-only here: update this software`]),
    ...(fault === undefined ? [] : [`! the last migration failed: ${printable(fault)}`]),
  ];
}
