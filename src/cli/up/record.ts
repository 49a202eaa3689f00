import { join } from 'node:path';
import { z } from 'zod';
import { readJson, writeJson } from '../../storage/json-file.js';

/** What `understudy up` leaves for `chat` and `inspect`, in `up.json` of its data folder (mode 0600). */
const upRecord = z.object({
  version: z.literal(1),
  /** Of `understudy up` itself. */
  pid: z.int().positive(),
  homeserver: z.object({ url: z.string(), local: z.boolean() }),
  bot: z.string(),
  /** The room of the first prompt. */
  room: z.string().optional(),
  people: z.record(z.string(), z.object({ user: z.string(), password: z.string() })),
  relay: z.object({ url: z.string() }),
  platform: z.object({ url: z.string() }),
  processes: z.array(
    z.object({
      name: z.string(),
      pid: z.int().positive(),
      dataDir: z.string(),
      health: z.string(),
      log: z.string(),
    }),
  ),
});

export type UpRecord = z.infer<typeof upRecord>;

export const recordPath = (dataDir: string): string => join(dataDir, 'up.json');

/** Undefined when nothing was ever brought up there. Rejects with `JsonFileError` when the file is damaged. */
export const readRecord = (dataDir: string): Promise<UpRecord | undefined> =>
  readJson(recordPath(dataDir), upRecord);

export const writeRecord = (dataDir: string, record: UpRecord): Promise<void> =>
  writeJson(recordPath(dataDir), record);
