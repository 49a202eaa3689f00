import { join } from 'node:path';
import { z } from 'zod';
import { readJsonOrAside, writeJson } from '../storage/json-file.js';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';

/** How often it is written, milliseconds; what a kill takes of it makes a member's time away shorter, never longer. */
const KEEP_MS = 10 * 60_000;

const schema = z.object({
  /** How long this replica has run, all its starts together, milliseconds. */
  running_ms: z.number().nonnegative(),
  /** By replica: its last sign of life, and how long this one had run when it came. */
  heard: z.record(z.string(), z.object({ sign: z.string(), running_ms: z.number() })),
});
export type AttendanceValue = z.output<typeof schema>;

/** Where it is kept. */
export interface AttendanceFile {
  read(): Promise<AttendanceValue | undefined>;
  write(value: AttendanceValue): Promise<void>;
}

/**
 * How long other members have been away: by how long this replica has itself run since it last heard of them. Not by
 * the clock on the wall: who was switched off for a week finds everybody's last sign a week old, and would settle by
 * itself what the others have decided otherwise (PROTOCOL A6); the same for a clock that was set forward.
 */
export class Attendance {
  readonly #from: number;

  private constructor(
    private readonly file: AttendanceFile,
    private readonly clock: Clock,
    private readonly before: number,
    private readonly heard: Map<string, { sign: string; running_ms: number }>,
  ) {
    this.#from = clock.monotonic();
  }

  static async open(file: AttendanceFile, clock: Clock): Promise<Attendance> {
    const { running_ms, heard } = (await file.read()) ?? { running_ms: 0, heard: {} };
    return new Attendance(file, clock, running_ms, new Map(Object.entries(heard)));
  }

  /** Milliseconds; `sign` says what the member's record says now, and another one is a sign of life. */
  awayMs(member: string, sign: string): number {
    const now = this.#running();
    const known = this.heard.get(member);
    if (known?.sign === sign) return now - known.running_ms;
    this.heard.set(member, { sign, running_ms: now });
    return 0;
  }

  /** Writes it now and then, until the returned function is called. */
  keep(log: Log): Cancel {
    return this.clock.every(KEEP_MS, () => {
      this.save().catch((error: unknown) => log.error({ err: error }, 'attendance could not be written'));
    });
  }

  async save(): Promise<void> {
    await this.file.write({ running_ms: this.#running(), heard: Object.fromEntries(this.heard) });
  }

  #running(): number {
    return this.before + this.clock.monotonic() - this.#from;
  }
}

/** `attendance.json` in a data folder. One that cannot be read counts as none: then everybody was heard of just now. */
export function attendanceFile(dataDir: string, log: Log): AttendanceFile {
  const path = join(dataDir, 'attendance.json');
  const lost = 'how long members were away, which is counted anew';
  return {
    read: () => readJsonOrAside(path, schema, { lost, log }),
    write: (value) => writeJson(path, value),
  };
}
