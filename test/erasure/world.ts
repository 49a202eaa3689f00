import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as A from '@automerge/automerge';
import { registerOwn } from '../../src/bot/actors/own.js';
import { currentOf, cutsIn, loadDocuments } from '../../src/cli/inspect/folder.js';
import type { OpenNodeOptions, StateNode } from '../../src/index.js';
import { encodeFileName } from '../../src/storage/filename.js';
import { node } from '../node/world.js';

export const ALICE = '@alice:example.org';
export const BOB = '@bob:example.org';
export const ROOM = '!alices:example.org';
export const BOBS = '!bobs:example.org';

/** A node that knows the bot's own machines, and cuts only when it is told to. */
export async function botNode(
  relays: readonly { url: string }[] = [],
  options: Partial<OpenNodeOptions> = {},
): Promise<StateNode> {
  const { generations, ...rest } = options;
  const opened = await node(relays, {
    found: relays.length === 0,
    generations: { everyMs: 0, ...generations },
    backups: { everyMs: 0 },
    ...rest,
  });
  registerOwn(opened.actors);
  return opened;
}

/** What the bot writes of a person who was brought in, and of one prompt that was answered. */
export async function settle(
  one: StateNode,
  person: string,
  room: string,
  { prompt = '$prompt', context = `ctx-of-${room}`, ts = Date.now() } = {},
): Promise<void> {
  const onboarding = { id: `onboarding:${person}`, ts };
  await one.change(
    [
      {
        kind: 'user',
        key: `matrix_user:${person}`,
        fields: { space_id: '!space', next_chat_index: 2, selected_agent_id: 'echo' },
      },
      {
        kind: 'room',
        key: `matrix_room:${room}`,
        fields: {
          room_type: 'chat',
          chat_id: 'C1',
          display_name: `room of ${person}`,
          matrix_user_id: person,
          platform_chat_id: context,
          agent_id: 'echo',
        },
      },
      {
        kind: 'chat',
        key: `chat:${person}/onboarding:${person}`,
        fields: { chat_id: 'C1', room_id: room, matrix_user_id: person, created_by: `onboarding:${person}` },
      },
    ],
    onboarding,
  );
  const { actors } = one;
  await actors.send(
    `onboarding/${person}`,
    { type: 'SPACE', room: '!space' },
    { cause: { ...onboarding, id: 'space' } },
  );
  await actors.send(`onboarding/${person}`, { type: 'GREETED' }, { cause: { ...onboarding, id: 'greeted' } });
  await actors.send(`conversation/${room}`, { type: 'NOTED' }, { cause: onboarding });
  await one.change(
    [
      {
        kind: 'mark',
        key: `mark:${room} onboarding:${person}`,
        fields: { reason: 'answered', settled_at: ts },
      },
    ],
    onboarding,
  );
  await answered(one, room, prompt, ts + 1);
}

/** One prompt, its run and its mark. */
export async function answered(one: StateNode, room: string, prompt: string, ts = Date.now()): Promise<void> {
  const { actors } = one;
  const run = `run/${room}/${prompt}`;
  await actors.send(`conversation/${room}`, { type: 'PROMPT' }, { cause: { id: prompt, ts } });
  await actors.send(run, { type: 'CREATED', description: 'answer in C1' }, { cause: { id: 'created', ts } });
  await actors.send(run, { type: 'COMPLETED', result: 'answered' }, { cause: { id: 'ended', ts: ts + 1 } });
  await one.change(
    [
      { kind: 'mark', key: `mark:${room} ${prompt}`, fields: { reason: 'answered', settled_at: ts } },
      { kind: 'floor', key: `floor:${room}`, fields: { event_id: prompt, origin_server_ts: ts } },
    ],
    { id: prompt, ts },
  );
}

/** A session log as `openTasks` writes it. */
export async function sessionLog(dataDir: string, session: string, ...times: number[]): Promise<string> {
  const folder = join(dataDir, 'sessions');
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${encodeFileName(session)}.log`);
  const line = (timestamp: number) =>
    `${JSON.stringify({ timestamp, level: 'info', type: 'note', message: `of ${session}` })}\n`;
  await writeFile(path, times.map(line).join(''), { mode: 0o600 });
  return path;
}

export const sessionFiles = (dataDir: string): Promise<string[]> =>
  readdir(join(dataDir, 'sessions')).catch(() => []);

/** Everything that the documents of a closed folder show now, as text: current generations, and audit documents. */
export async function shown(dataDir: string): Promise<{ current: string; audits: string; whole: string }> {
  const faults: string[] = [];
  const documents = await loadDocuments(dataDir, {}, faults);
  const actors = new Set(currentOf(documents, cutsIn(documents, faults)).values());
  const text = (some: typeof documents): string =>
    JSON.stringify(some.map(({ document }) => A.toJS(document)));
  const current = text(
    documents.filter((one) => (one.family === 'actors' ? actors.has(one) : one.family !== 'audit')),
  );
  const audits = text(documents.filter(({ family }) => family === 'audit'));
  return { current, audits, whole: text(documents) };
}

/** The plain files beside the documents. */
export async function filesBeside(dataDir: string): Promise<string> {
  const names = await readdir(dataDir, { withFileTypes: true });
  const texts = names.filter((one) => one.isFile()).map((one) => readFile(join(dataDir, one.name), 'utf8'));
  return (await Promise.all(texts)).join('\n');
}
