import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Conversation } from '../world/conversation.js';
import { isAnswered, type ExpectedAnswer } from '../world/judge.js';
import type { TimelineEvent } from '../world/matrix-http.js';
import { Person } from '../world/person.js';
import { everyRoomIsJudged } from '../world/watch.js';
import { Deployment } from './engine.js';

const agents = 'default: drill\nagents: [{ id: drill, name: Drill, description: Obeys, backend: drill }]\n';
const replicas = ['replica-1', 'replica-2'] as const;
type Replica = (typeof replicas)[number];
type Mark = { source?: string; replica?: string };

/** The people of a deployment, and its bot. */
class Talk extends Conversation {
  /** The deployment goes on after it; the last test takes it down. */
  dispose(): Promise<void> {
    return Promise.resolve();
  }

  readonly #asked = new Map<string, number>();

  /** Asks for an answer that counts the prompts of this room's context: its memory. */
  number(room: string, orders = ''): Promise<ExpectedAnswer> {
    const n = (this.#asked.get(room) ?? 0) + 1;
    this.#asked.set(room, n);
    return this.ask(room, (token) => `${orders} ${token}`.trim(), {
      text: (token) => new RegExp(`^drill #${n}: .*${token}$`),
    });
  }

  /**
   * Asks for what takes a while, and strikes the replica that has shown itself at work on it before the answer stands.
   * Where the machine was too slow for that, what was struck is mended, and it is done once more with a longer run.
   */
  async struckAtWork(
    room: string,
    strike: (replica: Replica) => Promise<unknown>,
    mend: (replica: Replica) => Promise<unknown>,
  ): Promise<Replica> {
    for (let seconds = 4; seconds < 130; seconds *= 2) {
      const asked = await this.number(room, `wait ${seconds}`);
      const isOver = (history: TimelineEvent[]) => isAnswered(history, this.bot.userId, asked);
      const victim = await this.alice.until(room, 'a placeholder', (history) => {
        for (const { sender, content } of history) {
          const mark = content['dev.understudy.delivery'] as Mark | undefined;
          if (sender !== this.bot.userId || mark?.source !== asked.prompt) continue;
          return replicas.find((replica) => replica === mark?.replica);
        }
        return undefined;
      });
      await strike(victim);
      if (!isOver(await this.alice.history(room))) return victim;
      await mend(victim);
      await this.answered();
    }
    throw new Error('no run was long enough to strike in its middle');
  }
}

describe.sequential('docker compose up --wait', () => {
  let deployment: Deployment;
  let talk: Talk;
  let room: string;

  beforeAll(async () => {
    deployment = await Deployment.prepare(agents);
    await deployment.compose(['build', '--quiet'], 1_150_000);
  });

  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    process.stderr.write(await deployment.compose(['ps', '--all']));
    process.stderr.write(await deployment.compose(['logs', '--no-color', '--tail', '25']));
  });

  afterAll(() => deployment.dispose());

  test('brings everything up healthy, with nothing typed and no setting made', async () => {
    await deployment.up();
    const containers = await deployment.containers();
    for (const once of ['secrets', 'synapse-key', 'accounts']) {
      expect(containers.get(once)).toMatchObject({ State: 'exited', ExitCode: 0 });
    }
    for (const lasting of ['synapse', 'postgres', 'relay', 'platform', ...replicas]) {
      expect(containers.get(lasting)).toMatchObject({ State: 'running', Health: 'healthy' });
    }
  });

  test('no process of ours runs as root, or may write beside its volume', async () => {
    for (const service of ['relay', 'platform', ...replicas]) {
      const look = "process.stdout.write(process.getuid()+' ');require('fs').writeFileSync('/app/x','')";
      const written = deployment.compose(['exec', '-T', service, 'node', '-e', look]);
      await expect(written).rejects.toMatchObject({
        stdout: '1000 ',
        stderr: expect.stringContaining('EROFS') as string,
      });
    }
  });

  test('a person who signs in with the password of the first start gets one answer', async () => {
    const homeserver = { url: deployment.url, serverName: 'localhost', registrationSecret: '' };
    const person = async (name: string) =>
      Person.login(homeserver, `@${name}:localhost`, await deployment.secret(`${name}-password`));
    talk = new Talk(await person('bot'), await person('alice'));
    room = await talk.room();
    await talk.number(room);
    await talk.answered();
    expect(await talk.problems()).toBe('');
  });

  test('docker kill of the replica at work: the other one answers, and the killed one comes back', async () => {
    const kill = (victim: Replica) => deployment.docker(['kill', deployment.container(victim)]);
    await talk.struckAtWork(room, kill, () => deployment.up());
    await talk.answered();
    await deployment.up();
    await talk.number(room);
    await talk.answered();
    expect(await talk.problems()).toBe('');
  });

  test('a replica that crashes is started again by the engine', async () => {
    const crash = `for (const pid of fs.readdirSync('/proc').filter(Number)) {
      const words = fs.readFileSync('/proc/' + pid + '/cmdline', 'utf8').split('\\0');
      if (words.includes('replica')) try { process.kill(pid, 'SIGKILL') } catch (error) { if (pid !== '1') throw error }
    }`;
    const started = async () =>
      deployment.docker(['inspect', '--format', '{{.RestartCount}}', deployment.container('replica-1')]);
    const before = Number(await started());
    await deployment.compose(['exec', '-T', 'replica-1', 'node', '-e', crash]).catch((error: unknown) => {
      // The end of the container takes this command along, or not.
      expect(error).toHaveProperty('code');
    });
    await talk.number(room);
    await talk.answered();
    await talk.alice.eventually('a restart', async () => Number(await started()) > before);
    await deployment.up();
  });

  test('docker pause of the replica at work, takeover, unpause: one answer, no older text over it', async () => {
    const command = (word: string) => (victim: Replica) =>
      deployment.docker([word, deployment.container(victim)]);
    const [pause, unpause] = [command('pause'), command('unpause')];
    const victim = await talk.struckAtWork(room, pause, unpause);
    await talk.answered();
    await unpause(victim);
    await talk.number(room);
    await talk.answered();
    expect(await talk.problems()).toBe('');
  });

  test('the replica at work loses the homeserver: another answers', async () => {
    const link = (victim: Replica) => [deployment.network('matrix'), deployment.container(victim)];
    const cut = (victim: Replica) => deployment.docker(['network', 'disconnect', ...link(victim)]);
    const mend = async (victim: Replica) => {
      await deployment.docker(['network', 'connect', ...link(victim)]);
      await deployment.up();
    };
    const victim = await talk.struckAtWork(room, cut, mend);
    await talk.answered(180_000);
    await mend(victim);
    expect(await talk.problems()).toBe('');
  });

  test('two replicas that cannot see each other answer once', async () => {
    const link = [deployment.network('replication'), deployment.container('replica-2')];
    await deployment.docker(['network', 'disconnect', ...link]);
    await talk.number(room, 'wait 2');
    await talk.number(await talk.room());
    await talk.answered(180_000);
    await deployment.docker(['network', 'connect', ...link]);
    await deployment.up();
    await talk.number(room);
    await talk.answered();
    expect(await talk.problems()).toBe('');
  });

  test('everything taken down and up again with the volumes kept: rooms and their contexts go on', async () => {
    await deployment.down();
    await deployment.up();
    await talk.number(room);
    await talk.answered();
    // Rooms that the bot has answered in before are greeted no second time.
    expect(await talk.problems()).toBe('');
    await talk.watch('the rooms of the deployment');
  });

  everyRoomIsJudged();

  test('down with the volumes leaves nothing behind', async () => {
    await deployment.down({ volumes: true });
    expect(await deployment.leftovers()).toEqual([]);
  });
});
