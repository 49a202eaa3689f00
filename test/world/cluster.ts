import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFailed, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { Gate } from './gate.js';
import { Person, type HomeserverAccess } from './person.js';
import { testPort } from './port.js';
import { Process, type Environment } from './process.js';
import { Proxy } from './proxy.js';
import { PutLog } from './put-log.js';
import { Conversation } from './conversation.js';
import { sharedHomeserver } from './world.js';

export interface ClusterOptions {
  /** Default 2. */
  replicas?: number;
  /** Default 1. Every replica connects to each. */
  relays?: number;
  /** Default 1. With several, replica n asks platform n modulo their number. */
  platforms?: number;
  /** How many of the replicas start at once; default all. */
  started?: number;
  /** An HTTP proxy between each replica and the homeserver. */
  proxies?: boolean;
  /** An HTTP proxy between each replica and its platform. */
  platformProxies?: boolean;
  /** A gate between each replica and each relay. */
  gates?: boolean;
  /** The agents file's content; default an `echo` (chosen for new rooms) and a `drill`. */
  agents?: { default: string; agents: Record<string, string>[] };
  lease?: string;
  heartbeat?: string;
  patience?: string;
  relayStorage?: 'fs' | 'memory';
  homeserver?: HomeserverAccess;
  /** More settings for every replica. */
  settings?: Environment;
}

const standardAgents = {
  default: 'echo',
  agents: [
    { id: 'echo', name: 'Echo', backend: 'echo', description: 'Says it again' },
    { id: 'drill', name: 'Drill', backend: 'drill', description: 'Does as it is told' },
  ],
};

/** A replica's process, its data folder, and what stands between it and the others. */
export class Replica extends Process {
  constructor(
    readonly dir: string,
    settings: Process['settings'],
    name: string,
    private readonly between: { proxy?: Proxy; platformProxy?: Proxy; gates: Gate[] },
  ) {
    super(name, ['replica'], settings);
  }

  /** The proxy before the homeserver; the cluster must have been made with `proxies`. */
  get proxy(): Proxy {
    return given(this.between.proxy, 'proxies');
  }

  /** The proxy before the platform; the cluster must have been made with `platformProxies`. */
  get platformProxy(): Proxy {
    return given(this.between.platformProxy, 'platformProxies');
  }

  /** Loses every relay, until {@link rejoin}; the cluster must have been made with `gates`. */
  cutOff(): void {
    for (const gate of given(this.between.gates.length > 0 ? this.between.gates : undefined, 'gates'))
      gate.shut();
  }

  rejoin(): void {
    for (const gate of this.between.gates) gate.open();
  }

  /** How often it came to a relay while it was cut off. */
  get turnedAway(): number {
    return this.between.gates.reduce((sum, gate) => sum + gate.turnedAway, 0);
  }

  /** Deletes its data folder; it must not run. */
  async wipe(): Promise<void> {
    if (this.isRunning) throw new Error(`${this.name} still runs`);
    await rm(this.dir, { recursive: true, force: true, maxRetries: 10 });
  }
}

function given<T>(value: T | undefined, option: string): T {
  if (value === undefined) throw new Error(`This cluster was made without \`${option}\``);
  return value;
}

/** A whole system of real processes, one bot account, and the people who talk to it. */
export class Cluster extends Conversation {
  readonly relays: Process[] = [];
  readonly platforms: Process[] = [];
  readonly replicas: Replica[] = [];
  /** Every PUT of an event that went through the replicas' proxies. */
  readonly puts = new PutLog();
  readonly clusterId = randomBytes(32).toString('base64url');
  readonly #relayToken = randomBytes(24).toString('base64url');
  readonly #disposals: (() => Promise<void>)[] = [];
  #disposed: Promise<void> | undefined;

  private constructor(
    readonly homeserver: HomeserverAccess,
    readonly dir: string,
    bot: Person,
    alice: Person,
  ) {
    super(bot, alice);
  }

  static async open(options: ClusterOptions = {}): Promise<Cluster> {
    const homeserver = options.homeserver ?? sharedHomeserver();
    const dir = await mkdtemp(join(tmpdir(), 'understudy-cluster-'));
    const bot = await Person.register(homeserver, 'bot');
    const cluster = new Cluster(homeserver, dir, bot, await Person.register(homeserver, 'alice'));
    try {
      await cluster.#build(options);
      return cluster;
    } catch (error) {
      await cluster.dispose();
      throw error;
    }
  }

  get agentsFile(): string {
    return join(this.dir, 'agents.yaml');
  }

  get processes(): Process[] {
    return [...this.relays, ...this.platforms, ...this.replicas];
  }

  /** Replicas that run now. */
  get alive(): Replica[] {
    return this.replicas.filter((replica) => replica.isRunning);
  }

  replica(index: number): Replica {
    return given(this.replicas[index], 'replicas');
  }

  /** Writes the agents file anew; platforms pick it up by themselves. */
  async writeAgents(agents: NonNullable<ClusterOptions['agents']>): Promise<void> {
    await writeFile(this.agentsFile, stringify(agents));
  }

  /** How often agents were asked, counted by the platforms' backends themselves. */
  async invocations(): Promise<number> {
    return (await this.#stats()).reduce((sum, { invocations }) => sum + invocations, 0);
  }

  /** How many runs of agents the platforms have under way. */
  async runsUnderWay(): Promise<number> {
    return (await this.#stats()).reduce(
      (sum, { runs }) => sum + (runs['running'] ?? 0) + (runs['queued'] ?? 0),
      0,
    );
  }

  /** Runs of processes that ended by themselves, in words. */
  get crashes(): string[] {
    return this.processes.flatMap((process) => process.crashes);
  }

  /** As any conversation, and rejects as soon as a process ends by itself: what is awaited may never come then. */
  override async answered(deadlineMs?: number): Promise<void> {
    const crash = new Promise<never>((_, reject) => {
      const tell = () =>
        this.crashes.length > 0 && reject(new Error(`${this.crashes.join('\n')}\n${this.tails()}`));
      for (const process of this.processes) process.onCrash = tell;
      tell();
    });
    await Promise.race([super.answered(deadlineMs), crash]);
  }

  override async problems(): Promise<string> {
    return [...this.crashes, ...this.puts.unfit, await super.problems()]
      .filter((problem) => problem !== '')
      .join('\n');
  }

  /** Ends every process, by SIGKILL, and removes every folder. */
  dispose(): Promise<void> {
    return (this.#disposed ??= (async () => {
      await Promise.all(this.processes.map((process) => process.kill()));
      await Promise.all(this.#disposals.map((dispose) => dispose()));
      await rm(this.dir, { recursive: true, force: true, maxRetries: 10 });
    })());
  }

  /** The last lines of every process, for a test that failed. */
  tails(count = 15): string {
    return this.processes.map((process) => process.tail(count)).join('\n');
  }

  #stats(): Promise<{ invocations: number; runs: Record<string, number> }[]> {
    return Promise.all(
      this.platforms.map(async ({ settings }) => {
        const url = `http://127.0.0.1:${settings['UNDERSTUDY_PLATFORM_PORT']}/v1/stats`;
        // A connection of its own: a kept one may have ended with a platform that was started again.
        const headers = { connection: 'close' };
        const answer = await fetch(url, { headers, signal: AbortSignal.timeout(60_000) });
        return (await answer.json()) as { invocations: number; runs: Record<string, number> };
      }),
    );
  }

  async #build(options: ClusterOptions): Promise<void> {
    await this.writeAgents(options.agents ?? standardAgents);
    for (let n = 0; n < (options.relays ?? 1); n += 1) this.relays.push(await this.#relay(n, options));
    for (let n = 0; n < (options.platforms ?? 1); n += 1) this.platforms.push(await this.#platform(n));
    for (let n = 0; n < (options.replicas ?? 2); n += 1) this.replicas.push(await this.#replica(n, options));
    await Promise.all([...this.relays, ...this.platforms].map((process) => process.start()));
    const started = this.replicas.slice(0, options.started ?? this.replicas.length);
    await Promise.all(started.map((replica) => replica.start()));
  }

  async #relay(n: number, { relayStorage = 'fs' }: ClusterOptions): Promise<Process> {
    return new Process(`relay-${n}`, ['relay'], {
      UNDERSTUDY_CLUSTER_ID: this.clusterId,
      UNDERSTUDY_RELAY_TOKEN: this.#relayToken,
      UNDERSTUDY_RELAY_PORT: String(await testPort()),
      UNDERSTUDY_RELAY_STORAGE: relayStorage,
      UNDERSTUDY_DATA_DIR: join(this.dir, `relay-${n}`),
      UNDERSTUDY_HTTP_PORT: String(await testPort()),
    });
  }

  async #platform(n: number): Promise<Process> {
    return new Process(`platform-${n}`, ['platform'], {
      UNDERSTUDY_PLATFORM_PORT: String(await testPort()),
      UNDERSTUDY_AGENTS_FILE: this.agentsFile,
      UNDERSTUDY_DATA_DIR: join(this.dir, `platform-${n}`),
      UNDERSTUDY_HTTP_PORT: String(await testPort()),
    });
  }

  async #replica(n: number, options: ClusterOptions): Promise<Replica> {
    const name = `replica-${n}`;
    const dir = join(this.dir, name);
    const proxy = options.proxies
      ? await Proxy.start({ client: name, target: this.homeserver.url, log: this.puts })
      : undefined;
    const platform = this.platforms[n % this.platforms.length];
    const platformUrl = `http://127.0.0.1:${platform?.settings['UNDERSTUDY_PLATFORM_PORT'] ?? (await testPort())}`;
    const platformProxy = options.platformProxies
      ? await Proxy.start({ client: name, target: platformUrl })
      : undefined;
    const ports = this.relays.map((relay) => Number(relay.settings['UNDERSTUDY_RELAY_PORT']));
    const gates = options.gates ? await Promise.all(ports.map((port) => Gate.start(port))) : [];
    for (const open of [proxy, platformProxy, ...gates]) if (open) this.#disposals.push(() => open.close());
    const relayPorts = gates.length > 0 ? gates.map((gate) => gate.port) : ports;
    const settings = {
      MATRIX_HOMESERVER_URL: proxy?.url ?? this.homeserver.url,
      MATRIX_USER: this.bot.localpart,
      MATRIX_PASSWORD: this.bot.password,
      UNDERSTUDY_CLUSTER_ID: this.clusterId,
      UNDERSTUDY_REPLICA_ID: name,
      UNDERSTUDY_DATA_DIR: dir,
      UNDERSTUDY_RELAY_URLS: relayPorts.map((port) => `ws://127.0.0.1:${port}`).join(','),
      UNDERSTUDY_RELAY_TOKEN: this.#relayToken,
      UNDERSTUDY_PLATFORM_URL: platformProxy?.url ?? platformUrl,
      UNDERSTUDY_LEASE: options.lease ?? '1s',
      UNDERSTUDY_HEARTBEAT: options.heartbeat ?? '200ms',
      UNDERSTUDY_PATIENCE: options.patience ?? '1s',
      // A new cluster makes every document durable before it begins; most tests would do nothing but wait for that.
      UNDERSTUDY_SHARDS: '8',
      UNDERSTUDY_HTTP_PORT: String(await testPort()),
      ...options.settings,
    };
    return new Replica(dir, settings, name, {
      ...(proxy && { proxy }),
      ...(platformProxy && { platformProxy }),
      gates,
    });
  }
}

/**
 * A cluster for the test that calls this. It ends with the test, also one that fails, unless the test hands it to
 * `watch`, which keeps it for as long as its rooms are watched.
 */
export async function cluster(options: ClusterOptions = {}): Promise<Cluster> {
  const opened = await Cluster.open(options);
  onTestFailed(({ task }) => {
    process.stderr.write(`What the processes of "${task.name}" said last:
${opened.tails()}
`);
  });
  onTestFinished(async () => {
    if (!opened.isWatched) await opened.dispose();
  });
  return opened;
}
