import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { testPort } from '../world/port.js';
import { root } from './file.js';

const run = promisify(execFile);

export interface Container {
  Service: string;
  State: string;
  Health: string;
  ExitCode: number;
}

/** docker-compose.yml brought up on the engine that answers, as a project of its own beside any other. */
export class Deployment {
  readonly project = `understudy-test-${process.pid}`;

  private constructor(
    private readonly dir: string,
    readonly port: number,
  ) {}

  /** Nothing runs yet. `agents` is the content of the agents file. */
  static async prepare(agents: string): Promise<Deployment> {
    const dir = await mkdtemp(join(tmpdir(), 'us-deployment-'));
    await writeFile(join(dir, 'agents.yaml'), agents, { mode: 0o644 });
    return new Deployment(dir, await testPort());
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** `docker …`, resolves to its standard output; rejects with what it said. */
  async docker(args: string[], deadlineMs = 180_000): Promise<string> {
    const { stdout } = await run('docker', args, {
      cwd: root,
      timeout: deadlineMs,
      maxBuffer: 64 * 1024 * 1024,
      env: {
        ...process.env,
        COMPOSE_PROJECT_NAME: this.project,
        // A person's own .env stays out of this.
        COMPOSE_ENV_FILES: '/dev/null',
        COMPOSE_DISABLE_ENV_FILE: '1',
        UNDERSTUDY_IMAGE: 'understudy:test',
        SYNAPSE_PORT: String(this.port),
        AGENTS_FILE: join(this.dir, 'agents.yaml'),
      },
    });
    return stdout;
  }

  compose(args: string[], deadlineMs?: number): Promise<string> {
    return this.docker(['compose', ...args], deadlineMs);
  }

  /** The command of the README: starts what does not run, and resolves when all of it is healthy. */
  async up(): Promise<void> {
    await this.compose(['up', '--wait', '--wait-timeout', '420', '--quiet-pull'], 540_000);
  }

  async containers(): Promise<Map<string, Container>> {
    const lines = (await this.compose(['ps', '--all', '--format', 'json'])).trim().split('\n');
    const all = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Container);
    return new Map(all.map((container) => [container.Service, container]));
  }

  /** A file of the volume `secrets`. */
  async secret(name: string): Promise<string> {
    return this.compose(['exec', '-T', 'relay', 'cat', `/run/understudy/${name}`]);
  }

  container(service: string): string {
    return `${this.project}-${service}-1`;
  }

  network(name: string): string {
    return `${this.project}_${name}`;
  }

  /** Takes everything down; the volumes too when `volumes`. */
  async down({ volumes = false } = {}): Promise<void> {
    await this.compose(
      ['--profile', '*', 'down', '--remove-orphans', ...(volumes ? ['--volumes'] : [])],
      300_000,
    );
  }

  /** What the engine still has of this project, containers, volumes and networks, by name. */
  async leftovers(): Promise<string[]> {
    const label = ['--filter', `label=com.docker.compose.project=${this.project}`];
    const lists = await Promise.all([
      this.docker(['ps', '--all', ...label, '--format', '{{.Names}}']),
      this.docker(['volume', 'ls', ...label, '--format', '{{.Name}}']),
      this.docker(['network', 'ls', ...label, '--format', '{{.Name}}']),
    ]);
    return lists.flatMap((list) => list.split('\n').filter((line) => line !== ''));
  }

  async dispose(): Promise<void> {
    await this.down({ volumes: true });
    await rm(this.dir, { recursive: true, force: true, maxRetries: 10 });
  }
}
