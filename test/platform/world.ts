import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Attachment } from '../../src/platform/attachments.js';
import type { PlatformClient, RunEvent } from '../../src/platform/client.js';
import { httpPlatform } from '../../src/platform/http-client.js';
import type { DatabaseSettings } from '../../src/platform/service/database.js';
import { startPlatform, type Platform, type PlatformOptions } from '../../src/platform/service/start.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock, type Clock } from '../../src/time/clock.js';

export const AGENTS = `
default: echo
agents:
  - { id: echo, name: Echo, description: Repeats, backend: echo }
  - { id: drill, name: Drill, backend: drill }
`;

const TURN_MS = 5;

/**
 * The machine's clock, but that waits are counted in turns of the event loop: while this process stands still nobody
 * falls silent.
 */
export const turnsClock: Clock = {
  ...systemClock,
  after(ms, run) {
    let left = Math.ceil(ms / TURN_MS);
    let timer: NodeJS.Timeout;
    const turn = (): void => {
      left -= 1;
      if (left < 0) run();
      else timer = setTimeout(turn, TURN_MS);
    };
    turn();
    return () => clearTimeout(timer);
  },
};

/** Longer than a busy machine leaves a living process without a turn: a transaction of it stands still for less. */
export const LEASE_MS = 30_000;

/** A file in a folder that goes with the test. */
export async function scratchFile(name: string, content: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'understudy-platform-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));
  const path = join(dir, name);
  await writeFile(path, content);
  return path;
}

export interface World {
  platform: Platform;
  client: PlatformClient;
}

/** A platform with echo and drill, and a client of it; closed with the test. */
export async function world(
  database: DatabaseSettings,
  options: Partial<PlatformOptions> = {},
): Promise<World> {
  const agentsFile = options.agentsFile ?? (await scratchFile('agents.yaml', AGENTS));
  const platform = await startPlatform({
    port: 0,
    database,
    log: silentLog,
    env: {},
    leaseMs: LEASE_MS,
    ...options,
    agentsFile,
  });
  onTestFinished(() => platform.close());
  return { platform, client: clientOf(platform) };
}

export function clientOf({ url }: { url: string }): PlatformClient {
  return httpPlatform({ url, log: silentLog });
}

export const textFile = (name: string, text = 'some text'): Attachment => ({
  name,
  mime_type: 'text/plain',
  bytes: new Uint8Array(Buffer.from(text)),
});

/** Asks and waits for the end: every event of the run. */
export async function ask(
  client: PlatformClient,
  chat: string,
  key: string,
  text: string,
  attachments: Attachment[] = [],
): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  const prompt = { text, user: '@alice:test', attachments };
  for await (const event of client.sendMessage(key, chat, prompt)) events.push(event);
  return events;
}

/** The text of the answer. */
export async function answer(
  client: PlatformClient,
  chat: string,
  key: string,
  text: string,
  attachments: Attachment[] = [],
): Promise<string> {
  const end = (await ask(client, chat, key, text, attachments)).at(-1);
  if (end?.type !== 'final') throw new Error(`no final answer: ${JSON.stringify(end)}`);
  return end.text;
}

export async function newChat(client: PlatformClient, agent = 'echo', key: string = agent): Promise<string> {
  return (await client.createChat(key, { agent })).platform_chat_id;
}

export async function invocations({ url }: { url: string }, key: string): Promise<number> {
  const response = await fetch(`${url}/v1/invocations?key=${encodeURIComponent(key)}`);
  return ((await response.json()) as { invocations: number }).invocations;
}

/** Waits until `look` gives something; fails after `ms`. */
export async function eventually<T>(
  look: () => Promise<T | undefined> | T | undefined,
  ms = 30_000,
): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`still waiting after ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
