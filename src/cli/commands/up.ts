import { join, resolve } from 'node:path';
import { lockFolder } from '../../storage/lock.js';
import { createLog } from '../../telemetry/logger.js';
import type { Log } from '../../telemetry/log.js';
import { Redactor } from '../../telemetry/redact.js';
import { systemClock } from '../../time/clock.js';
import { SettingsReader } from '../config/reader.js';
import * as setting from '../config/settings.js';
import { explain } from '../explain.js';
import type { Invocation } from '../process.js';
import type { Child } from '../up/child.js';
import { howToGoOn } from '../up/words.js';
import { openHomeserver, type Homeserver } from '../up/homeserver.js';
import { planProcesses, type Processes } from '../up/processes.js';
import { Progress } from '../up/progress.js';
import { prove } from '../up/proof.js';
import { endLeftovers } from '../up/leftovers.js';
import { readRecord, recordPath, writeRecord, type UpRecord } from '../up/record.js';

/** `understudy up`: everything on this machine, until Ctrl-C. */
export async function run(invocation: Invocation): Promise<number> {
  const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  read.required(setting.replicas);
  const dataDir = resolve(read.optional(setting.dataDir) ?? 'data');
  const progress = new Progress(systemClock, (line) => void process.stdout.write(`${line}\n`));
  const stop = stopSignal(progress);
  const all = new Everything(invocation, read, dataDir, progress, stop);
  try {
    await all.start();
    await aborted(stop);
    return 0;
  } catch (error) {
    if (stop.aborted) return 0;
    throw error;
  } finally {
    await all.stop();
  }
}

/** What one `up` has started, in the order in which it is stopped again from the end. */
class Everything {
  private readonly undo: { name: string; stop: () => Promise<unknown> }[] = [];
  private remembering: Promise<void> = Promise.resolve();
  /** Where the first prompt was asked, kept over restarts. */
  private room: string | undefined;
  private readonly log: Log;

  constructor(
    private readonly invocation: Invocation,
    private readonly read: SettingsReader,
    private readonly dataDir: string,
    private readonly progress: Progress,
    private readonly signal: AbortSignal,
  ) {
    const debug = invocation.env['DEBUG'];
    // Without DEBUG this command's words are its progress lines; its parts have log files of their own.
    const quiet = { write: () => undefined };
    this.log = createLog({
      role: 'up',
      debug,
      redactor: new Redactor(read.secrets),
      ...(debug ? {} : { destination: quiet }),
    });
  }

  async start(): Promise<void> {
    const { dataDir, progress, signal, read, log } = this;
    const clock = systemClock;
    const lock = await lockFolder(join(dataDir, 'dev'));
    this.undo.push({ name: 'the lock', stop: () => lock.release() });
    const earlier = await readRecord(dataDir);
    if (earlier) await endLeftovers(earlier, { clock, signal, say: (line) => progress.say(line) });
    const homeserver = await openHomeserver(read, { dataDir, clock, log, progress, signal });
    this.undo.push({ name: 'the homeserver', stop: () => homeserver.stop() });
    const processes = await planProcesses(read, {
      dataDir,
      env: this.invocation.env,
      homeserver,
      clock,
      say: (line) => progress.say(line),
      restarted: () => this.remember(homeserver, processes),
      configFile: this.invocation.configFile,
    });
    if (earlier?.homeserver.url === homeserver.url) this.room = earlier.room;
    const { platform, relay, replicas } = processes;
    await this.startAll('Platform', [platform], () => `${processes.platformUrl}, pid ${platform.pid}`);
    await this.startAll('Relay', [relay], () => `${processes.relayUrl}, pid ${relay.pid}`);
    await this.startAll('Replicas', replicas, () =>
      replicas.map(({ options, pid }) => `${options.name} pid ${pid}`).join(', '),
    );
    this.remember(homeserver, processes);
    await this.prove(homeserver);
    this.remember(homeserver, processes);
    await this.remembering;
    for (const line of howToGoOn(homeserver, processes)) progress.say(line);
  }

  /** Stops what was started, last first; what does not stop is told, and does not keep the rest. */
  async stop(): Promise<void> {
    for (const { name, stop } of this.undo.reverse()) {
      try {
        await stop();
      } catch (error) {
        this.progress.say(`✗ ${name} did not stop: ${explain(error).line}`);
      }
    }
    this.undo.length = 0;
    this.progress.say('Everything has stopped.');
  }

  private startAll(title: string, children: Child[], result: () => string): Promise<unknown> {
    this.undo.push({ name: title, stop: () => Promise.all(children.map((child) => child.stop())) });
    return this.progress.step(
      title,
      () => Promise.all(children.map((child) => child.start(this.signal))),
      result,
    );
  }

  /** Keeps what runs now in `up.json`, one write after the other. */
  private remember(homeserver: Homeserver, processes: Processes): void {
    const record = recordOf(homeserver, processes, this.room);
    this.remembering = this.remembering
      .then(() => writeRecord(this.dataDir, record))
      .catch((error: unknown) =>
        this.progress.say(`✗ ${recordPath(this.dataDir)} was not written: ${explain(error).line}`),
      );
  }

  private async prove(homeserver: Homeserver): Promise<void> {
    const { progress, signal } = this;
    const [name, person] = Object.entries(homeserver.people)[0] ?? [];
    if (name === undefined || person === undefined) {
      progress.say(
        '- No first prompt: set UNDERSTUDY_PERSON_USER and UNDERSTUDY_PERSON_PASSWORD to an account of yours.',
      );
      return;
    }
    const { room } = await progress.step(
      `First prompt, as ${name}`,
      () =>
        prove({
          homeserver: homeserver.url,
          person,
          bot: homeserver.bot,
          room: this.room,
          clock: systemClock,
          signal,
        }),
      ({ prompt, reply }) =>
        `"${prompt}" was answered "${reply.text}" by ${reply.replica ?? 'the bot'} in ${reply.tookMs} ms`,
    );
    this.room = room;
  }
}

function recordOf(homeserver: Homeserver, processes: Processes, room: string | undefined): UpRecord {
  const { platform, relay, replicas } = processes;
  return {
    version: 1,
    pid: process.pid,
    homeserver: { url: homeserver.url, local: homeserver.local },
    bot: homeserver.bot,
    ...(room !== undefined && { room }),
    people: homeserver.people,
    relay: { url: processes.relayUrl },
    platform: { url: processes.platformUrl },
    processes: [platform, relay, ...replicas].map(({ options, pid }) => ({
      name: options.name,
      pid: pid ?? 1,
      dataDir: options.dataDir,
      health: options.health,
      log: options.log,
    })),
  };
}

/** Aborted by the first Ctrl-C, SIGTERM or SIGHUP; a second Ctrl-C does not shorten the orderly end. */
function stopSignal(progress: Progress): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      progress.say(stop.signal.aborted ? '… still stopping' : `… ${name}: stopping everything`);
      stop.abort(new Error(`stopped by ${name}`));
    });
  }
  return stop.signal;
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
    // Nothing else keeps the process alive when every child has died and waits for its restart.
    const alive = setInterval(() => {}, 60_000);
    signal.addEventListener('abort', () => clearInterval(alive), { once: true });
  });
