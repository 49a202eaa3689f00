import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { stepKey } from '../../../src/bot/surface/platform-key.js';
import type { Verdict } from '../../../src/platform/client.js';
import type { Cluster, Replica } from '../../world/cluster.js';
import { atRest, heads } from '../../world/inside.js';
import { type Boundary, Checkpoint, Passage } from './boundaries.js';
import { difference, type Roles } from './difference.js';
import { MatrixRefusal } from '../../world/matrix-http.js';
import type { Performer } from './performer.js';
import { contextsIn, look, type Place, roomsMade, type Standing } from './standing.js';
import { here, platformKeys, type Ready, type Row } from './table.js';

/** One use of a command by one person. */
export interface Use {
  row: Row;
  performer: Performer;
  /** Where whoever carries it out is to be stopped; none: nowhere. */
  boundary?: Boundary;
}

/** What becomes of the replicas while commands are under way. */
export interface Disturbance {
  /** Before they are said. */
  begin?: () => Promise<void>;
  /** Both replicas make their first step at the same time. */
  together?: true;
  /** Every one stands at its boundary, or was answered. */
  strike?: (passages: readonly Passage[]) => Promise<void>;
  /** Every one was answered, and stands as it should on those that are left. */
  mend?: () => Promise<void>;
}

interface Scene extends Use {
  ready: Ready;
  place: Place;
  before: Standing;
  passage: Passage;
  roles: Roles;
}

/** A decision as the platform keeps it. */
export interface Decision {
  run_key: string;
  decision: Verdict;
  decided_by: string;
  decided_key: string;
}

/** For what is awaited of a machine that does other things too. */
const DEADLINE_MS = 120_000;

/** Has people use commands, all at once, and compares what stands afterwards. */
export class Stage {
  /** What each row changes where nothing disturbs it. */
  readonly expected = new Map<Row, string[]>();
  /** Every context of the platform that some record named. */
  readonly contexts = new Set<string>();
  /** What the platform was to be told of questions, each once. */
  readonly decisions: Decision[] = [];
  readonly #checkpoint: Checkpoint;
  #words = 0;

  constructor(private readonly world: Cluster) {
    this.#checkpoint = new Checkpoint(world.replicas);
  }

  /** Plays uses of different people, and resolves when each stands as it should; rejects with what differs. */
  async play(uses: readonly Use[], disturbance: Disturbance = {}): Promise<readonly Passage[]> {
    const { world } = this;
    const scenes = await this.#prepare(uses, disturbance);
    const passages = scenes.map(({ passage }) => passage);
    await disturbance.begin?.();
    await this.#checkpoint.watch(passages, () => this.#say(scenes));
    await this.#allReached(scenes);
    await disturbance.strike?.(passages);
    await Promise.all(scenes.map(({ performer }) => performer.answered(DEADLINE_MS)));
    // Replicas that hear nothing of each other hold the same only once they have met.
    if (!disturbance.together) await this.#allStand(scenes, world.alive);
    await disturbance.mend?.();
    // What was held goes on: late, and from the dead.
    for (const passage of passages) passage.letGo();
    await atRest(world);
    await this.#allStand(scenes, world.replicas);
    await Promise.all(scenes.map((scene) => this.#goOn(scene)));
    return passages;
  }

  async #prepare(uses: readonly Use[], { together }: Disturbance): Promise<Scene[]> {
    const { world } = this;
    const readies = await Promise.all(
      uses.map(async ({ row, performer }) => row.ready?.(performer) ?? here(performer)),
    );
    await this.#allSettledBut(readies.filter(({ prompt }) => prompt !== undefined).length);
    const rooms = new Set(await world.bot.joinedRooms());
    return Promise.all(
      uses.map(async (use, n) => {
        const ready = readies[n] as Ready;
        const { performer, row, boundary } = use;
        const place = { performer, room: ready.room, rooms };
        const before = await look(world, world.replica(0), place);
        this.#words += 1;
        const roles: Roles = {
          person: performer.person.userId,
          bot: world.bot.userId,
          space: performer.space,
          room: ready.room,
          source: '',
          prompt: ready.prompt,
          word: `Garden${this.#words}x`,
        };
        const until = {
          ...(boundary && { boundary }),
          ...(together && { together: row.steps[0] as 'answer' }),
        };
        return { ...use, ready, place, before, roles, passage: new Passage(until) };
      }),
    );
  }

  /** What was made ready stands on all replicas; only the prompts that are to be cancelled are under way. */
  async #allSettledBut(prompts: number): Promise<void> {
    const { world } = this;
    await world.alice.eventually('everything is ready', async () => {
      for (const replica of world.alive)
        if ((await replica.metric('understudy_pending_sources')) !== prompts) return false;
      return new Set(await Promise.all(world.alive.map(heads))).size === 1;
    });
  }

  async #say(scenes: readonly Scene[]): Promise<void> {
    await Promise.all(
      scenes.map(async ({ performer, row, ready, roles, passage }) => {
        const { prompt } = await performer.command(ready.room, row.says(roles.word), row.token);
        roles.source = prompt;
        if (row.decides !== undefined && ready.prompt !== undefined)
          this.decisions.push({
            run_key: stepKey(ready.prompt, 'send'),
            decision: row.decides,
            decided_by: roles.person,
            decided_key: stepKey(prompt, 'decide'),
          });
        const ids = [prompt, ...platformKeys(prompt), ...(ready.also === undefined ? [] : [ready.also])];
        passage.names = (step, { body }, text) =>
          step === 'invite'
            ? (body as { user_id?: string }).user_id === roles.person
            : ids.some((id) => text.includes(id));
      }),
    );
  }

  async #allReached(scenes: readonly Scene[]): Promise<void> {
    const waiting = new Set(scenes);
    const all = scenes.map(async (scene) => {
      await scene.passage.reached;
      waiting.delete(scene);
    });
    const late = new AbortController();
    const deadline = pause(DEADLINE_MS, undefined, { signal: late.signal }).then(
      () => Promise.reject(new Error(`Not carried out:\n${[...waiting].map(told).join('\n')}`)),
      () => undefined,
    );
    await Promise.race([Promise.all(all), deadline]);
    late.abort();
  }

  /** Until each use changed what its row changes, by the documents of each of the replicas. */
  async #allStand(scenes: readonly Scene[], replicas: readonly Replica[]): Promise<void> {
    const until = performance.now() + DEADLINE_MS;
    for (const scene of scenes)
      for (const replica of replicas)
        for (;;) {
          const expected = this.expected.get(scene.row);
          const changed = await this.#changed(scene, replica);
          if (expected === undefined || String(changed) === String(expected)) break;
          if (performance.now() > until)
            expect(changed, `${told(scene)} on ${replica.name}`).toEqual(expected);
          await pause(100);
        }
  }

  async #changed({ place, before, roles }: Scene, replica: Replica): Promise<string[]> {
    let after: Standing;
    try {
      after = await look(this.world, replica, place);
    } catch (error) {
      if (!(error instanceof MatrixRefusal) || error.status !== 403) throw error;
      return ['a room was left while it was looked at'];
    }
    for (const standing of [before, after])
      for (const context of contextsIn(standing)) this.contexts.add(context);
    return difference(before, after, roles);
  }

  async #goOn(scene: Scene): Promise<void> {
    const { row, performer, ready, place, passage } = scene;
    if (!this.expected.has(row)) {
      const steps = [...new Set(passage.passed.map(({ step }) => step))];
      expect(steps, `the steps of ${told(scene)}`).toEqual(row.steps);
      this.expected.set(row, await this.#changed(scene, this.world.replica(0)));
    }
    if (row.probe)
      await this.#ask(
        performer,
        row.probe.says,
        row.probe.room === 'here' ? ready.room : await this.#made(place),
      );
    await row.after?.(performer, ready.room);
  }

  async #ask(performer: Performer, says: string, room: string): Promise<void> {
    await performer.ask(room, undefined, { text: (token) => `${says}: say ${token}` });
    await performer.answered(DEADLINE_MS);
  }

  async #made(place: Place): Promise<string> {
    const [room = ''] = await roomsMade(this.world, place);
    await place.performer.person.join(room);
    return room;
  }
}

const told = ({ row, boundary, roles: { word } }: Scene): string =>
  `${row.says(word)}${boundary === undefined ? '' : ` ${boundary.when} ${boundary.step}`}`;
