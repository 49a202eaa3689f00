import { z } from 'zod';
import { call, v3 } from '../person/api.js';
import { recordsOf, type ClusterView } from './cluster-view.js';
import { counted, finding, some, type Finding } from './finding.js';
import { textIn, type Patient } from './patient.js';

const joinedBody = z.object({ joined_rooms: z.array(z.string()) });

/** The rooms of the documents beside those of the account. */
export async function checkRooms(patient: Patient, url: string, token: string): Promise<Finding[]> {
  const { limits, signal } = patient;
  const view = await patient.view();
  if (view === undefined) return [];
  const { joined_rooms: joined } = await call(url, joinedBody, {
    method: 'GET',
    path: v3('joined_rooms'),
    token,
    deadlineMs: limits.answerMs,
    signal,
  });
  return compareRooms(view, new Set(joined));
}

function compareRooms(view: ClusterView, joined: ReadonlySet<string>): Finding[] {
  const rooms = recordsOf(view, 'room');
  const users = [...recordsOf(view, 'user').values()];
  const spaces = new Set(users.map((record) => textIn(record, 'space_id')));
  const bound = [...rooms].filter(([, record]) => record.get('archived')?.value !== true);
  const names = bound.map(([key]) => key.slice('matrix_room:'.length));
  const left = names.filter((room) => !joined.has(room));
  const unrecorded = [...joined].filter((room) => !rooms.has(`matrix_room:${room}`) && !spaces.has(room));
  const found: Finding[] = [];
  if (left.length > 0) {
    found.push(
      finding(
        'rooms-left',
        `${counted(left.length, 'room')} of ${names.length} in the documents, and the bot is not in them: ${some(left)}`,
        'invite it again where it should answer; elsewhere this is harmless',
      ),
    );
  }
  if (unrecorded.length > 0) {
    const seen = `the bot is in ${counted(unrecorded.length, 'room')} without a record: ${some(unrecorded)}`;
    found.push(finding('rooms-unrecorded', seen, 'nothing: a room is bound at its first prompt'));
  }
  return found;
}
