import { LosingDisk, type Loss } from './losing-disk.js';
import { seeded } from './random.js';

export interface Scenario<Said> {
  /** Before power can be lost; what it wrote is synced if it was acknowledged. */
  prepare?: (disk: LosingDisk) => Promise<void>;
  /** What it does until power is lost, and what it says of it: only what was acknowledged. */
  act: (disk: LosingDisk, say: (said: Said) => void) => Promise<void>;
  /** Looks at what is found afterwards. */
  check: (disk: LosingDisk, said: Said[], at: string) => Promise<void>;
}

/** Draws for the random losses at each call. */
const DRAWS = 3;

/**
 * Lets the power fail at each call to the disk that `act` makes, once for each kind of loss, and once after the last.
 * Returns the number of losses.
 */
export async function losePowerAtEveryCall<Said>(scenario: Scenario<Said>): Promise<number> {
  const losses: [Loss, number][] = [
    ['forgets', 0],
    ['keeps', 0],
  ];
  for (let draw = 0; draw < DRAWS; draw += 1) losses.push(['some', draw]);
  let count = 0;
  for (const [loss, draw] of losses) {
    for (let call = 1; ; call += 1) {
      const disk = new LosingDisk();
      await scenario.prepare?.(disk);
      const died = disk.arm(call);
      const said: Said[] = [];
      const isThrough = await Promise.race([
        scenario.act(disk, (one) => said.push(one)).then(() => true),
        died.then(() => false),
      ]);
      const at = `${loss} ${draw}, call ${call}: ${disk.calls.at(-1)}`;
      const found = disk.afterLoss(loss, seeded(call * DRAWS + draw));
      count += 1;
      try {
        await scenario.check(found, said, at);
      } catch (error) {
        throw new Error(`power lost at ${at}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
      if (isThrough) break;
    }
  }
  return count;
}
