import { Machines } from '../actors/machines.js';
import { Attendance, attendanceFile } from './attendance.js';
import { forgettingBases } from './erasure/forgetting-bases.js';
import { actorBases } from './generations/actor-bases.js';
import { Generations } from './generations/generations.js';
import { DEFAULT_EVERY_MS } from './generations/ports.js';
import { CutSchedule } from './generations/schedule.js';
import { StoredDocuments } from './generations/stored-documents.js';
import type { NodeInside } from './inside.js';
import type { StateNode } from './state-node.js';

/** What a relay has is waited for so long before a cut that was not asked for, milliseconds. */
const CUT_SYNC_MS = 10_000;

/** The generations of all shards (PROTOCOL A6), with what this folder says of them; to be started. */
export async function openGenerations(inside: NodeInside): Promise<Generations> {
  const { parts, documents, records, word, counters, fastPath } = inside;
  const { clock, log, relays, storage, options } = parts;
  const stored = await StoredDocuments.open(options.dataDir, storage, { log, clock });
  const attendance = await openAttendance(inside);
  const noteBelowHorizon = (): void => void (counters.generations.belowHorizon += 1);
  const machines = (): Machines => inside.actors?.machines ?? new Machines();
  return new Generations(
    {
      documents,
      records,
      options: options.generations ?? {},
      bases: forgettingBases(
        options.generations?.bases ?? actorBases(machines, counters.countMalformed, noteBelowHorizon),
        inside.forgotten,
      ),
      forgotten: inside.forgotten,
      word,
      hasRelays: options.relays.length > 0,
      reachesRelay: () => relays.channel.connected(),
      counters,
      clock,
      log,
      replica: parts.self.replica,
      schemas: inside.schemas,
      attendance,
      epoch: () => inside.epoch,
      change: (writes, cause) => inside.change(writes, cause),
      sent: (document, bytes) => fastPath.send(document, bytes),
      moved: (document, touched) => inside.moved(document, touched),
    },
    stored,
  );
}

/** Shards that have grown are cut by themselves, unless the options say otherwise. */
export function scheduleCuts(
  { parts: { clock, log, cleanup, options } }: NodeInside,
  node: Pick<StateNode, 'cutIfDue' | 'synced'> & { cutTurn(shard: number, since: number): number },
  generations: Generations,
): void {
  const everyMs = options.generations?.everyMs ?? DEFAULT_EVERY_MS;
  if (everyMs === 0) return;
  const schedule = new CutSchedule({
    everyMs,
    due: () => generations.due(),
    turn: (shard, since) => node.cutTurn(shard, since),
    cut: async (shards) => {
      const isAlone = options.relays.length === 0;
      if (!isAlone && !(await node.synced(CUT_SYNC_MS))) return 0;
      return node.cutIfDue({ mayCut: (shard) => shards.has(shard) });
    },
    clock,
    log,
  });
  cleanup.add('cuts', () => schedule.stop());
}

async function openAttendance({ parts: { clock, log, cleanup, options } }: NodeInside): Promise<Attendance> {
  const attendance = await Attendance.open(attendanceFile(options.dataDir, log), clock);
  const stop = attendance.keep(log);
  cleanup.add('attendance', () => {
    stop();
    return attendance.save();
  });
  return attendance;
}
