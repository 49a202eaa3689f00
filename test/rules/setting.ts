import type { Match } from '../simulation/faults.js';
import type { SimulatedPerson } from '../simulation/person.js';
import type { SimulatedReplica } from '../simulation/replica.js';
import { PART_BYTES } from '../../src/delivery/split.js';
import { World } from '../simulation/world.js';

export interface Setting {
  world: World;
  alice: SimulatedPerson;
  room: string;
  /** Whose turn it is for alice first, and who comes after. */
  first: SimulatedReplica;
  second: SimulatedReplica;
}

/** Two replicas and one plain room of alice; every run of the agent gives another text. */
export async function setting(prepare: (world: World) => void = () => {}): Promise<Setting> {
  const { world, alice, room } = await World.withRoom(2, (made) => {
    made.platform.forgetful = true;
    made.platform.answer = ({ text }, n) => ({ text: `${text} by run ${n}` });
    prepare(made);
  });
  const [first, second] = world.ranks(room, alice);
  if (!first || !second) throw new Error('two replicas are needed');
  return { world, alice, room, first, second };
}

/** One replica and one plain room of alice. */
export async function alone(prepare: (world: World) => void = () => {}) {
  const { world, alice, room } = await World.withRoom(1, (made) => {
    made.platform.forgetful = true;
    made.platform.answer = ({ text }, n) => ({ text: `${text} by run ${n}` });
    prepare(made);
  });
  return { world, alice, room, only: world.replica(0) };
}

/** A text of that many parts. */
export const longText = (head: string, parts: number) =>
  `${head} ${'x'.repeat(PART_BYTES * parts - PART_BYTES / 2)}`;

/** The agent's answers have that many parts each. */
export const inParts = (parts: number) => (world: World) => {
  world.platform.answer = ({ text }, n) => ({ text: longText(`${text} by run ${n}`, parts) });
};

/** Requests of one replica's present process; with `step`, sends of that step. */
export function of(replica: SimulatedReplica, call: string, step?: RegExp): Match {
  const name = replica.clientName;
  return (request) => {
    const mark = request.content?.['dev.understudy.delivery'] as { step?: string } | undefined;
    return (
      request.client === name &&
      request.call === call &&
      (step === undefined || (mark?.step !== undefined && step.test(mark.step)))
    );
  };
}

/** The answer is exactly this text, in as many messages as it takes. */
export const whole = (text: string) => ({ parts: 'several' as const, text });
