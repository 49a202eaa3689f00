import type { FieldMap } from '../../documents/record.js';
import { productSchemas } from '../../documents/migrations/schemas.js';
import { fieldTable, kindNames, type Kind } from '../../documents/schemas/kinds.js';
import { recordsOf, type ClusterView } from './cluster-view.js';
import { counted, finding, some, type Finding } from './finding.js';
import { textIn } from './patient.js';

/** Is every record what the tables say, and does what it names exist? */
export function checkRecords(view: ClusterView): Finding[] {
  const faults = [
    ...view.malformed.map(({ name, what }) => `${name}: ${what}`),
    ...kindNames.flatMap((kind) =>
      [...recordsOf(view, kind)].flatMap(([key, record]) => wrongFields(kind, key, record)),
    ),
  ];
  const dangling = danglingIn(view);
  return [
    ...(faults.length === 0
      ? []
      : [
          finding(
            'record-malformed',
            `${counted(faults.length, 'value')} not of the data format, and read as absent: ${some(faults)}`,
            'see who wrote them with `understudy inspect KEY`, and update that replica',
          ),
        ]),
    ...(dangling.length === 0
      ? []
      : [
          finding(
            'reference-dangling',
            `${counted(dangling.length, 'record')} name what is not here: ${some(dangling)}`,
            'start the replica with a relay in reach; what stays missing then was lost, and its room is bound anew at its next prompt',
          ),
        ]),
  ];
}

function wrongFields(kind: Kind, key: string, record: FieldMap): string[] {
  return [...record].flatMap(([field, { value }]) => {
    const table = fieldTable(kind, field) ?? productSchemas.fieldTable(kind, field);
    // Fields of later versions are kept, and null clears one.
    if (table === undefined || value === null || table.schema.safeParse(value).success) return [];
    return [`${key} ${field}`];
  });
}

/** Person → chat → room: what one names must be there. */
function danglingIn(view: ClusterView): string[] {
  const [users, rooms] = [recordsOf(view, 'user'), recordsOf(view, 'room')];
  const has = (map: ReadonlyMap<string, FieldMap>, prefix: string, id: string | undefined): boolean =>
    id === undefined || map.has(prefix + id);
  return [
    ...[...recordsOf(view, 'chat')].flatMap(([key, record]) =>
      has(rooms, 'matrix_room:', textIn(record, 'room_id')) ? [] : [`${key} → its room`],
    ),
    ...[...rooms].flatMap(([key, record]) =>
      textIn(record, 'room_type') === undefined ||
      has(users, 'matrix_user:', textIn(record, 'matrix_user_id'))
        ? []
        : [`${key} → its person`],
    ),
  ];
}
