import type { ActorsPort } from '../../src/actors/port.js';
import { type Kind, kinds } from '../../src/documents/schemas/kinds.js';
import type { Cause, Write } from '../../src/documents/write.js';
import type { Json } from '../../src/documents/json.js';
import { silentLog } from '../../src/index.js';
import { systemClock } from '../../src/time/clock.js';

type Fields = Record<string, { value: Json; stamp: number; cause: string }>;
export interface Line {
  level: 'warn' | 'error';
  message: string;
  about: Record<string, unknown>;
}

/** A state node's records in memory, with the merge rule of events; what peers write comes in with `merge`. */
export class MemoryPort implements ActorsPort {
  readonly clock = systemClock;
  readonly lines: Line[] = [];
  readonly log = {
    ...silentLog,
    warn: (about: unknown, message?: string) => this.#line('warn', about, message),
    error: (about: unknown, message?: string) => this.#line('error', about, message),
  } as typeof silentLog;
  /** A generation that is not there yet: writes wait for it. */
  gate: Promise<void> | undefined;
  turnMs = 0;
  readonly #records = new Map<string, { kind: Kind; fields: Fields }>();
  readonly #handles = new Set<(changed: { kind: Kind; key: string }) => void>();

  count(): void {}

  *keys(kind: Kind): Iterable<string> {
    for (const [key, record] of this.#records) if (record.kind === kind) yield key;
  }

  provenance(kind: Kind, key: string): Fields | undefined {
    const record = this.#records.get(key);
    return record?.kind === kind ? record.fields : undefined;
  }

  async change(writes: readonly Write[], cause: Cause): Promise<void> {
    while (this.gate !== undefined) await this.gate;
    this.merge(writes, cause.id);
    await Promise.resolve();
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  onChange(handle: (changed: { kind: Kind; key: string }) => void): () => void {
    this.#handles.add(handle);
    return () => this.#handles.delete(handle);
  }

  turn(): number {
    return this.turnMs;
  }

  /** All of it is there before anybody hears of it, as with a merge of documents. */
  merge(writes: readonly Write[], cause = 'peer'): void {
    const touched: { kind: Kind; key: string }[] = [];
    for (const { kind, key, fields, stamp = 1 } of writes) {
      const before = this.#records.get(key)?.fields;
      if (kind === 'event' && before !== undefined && (before['event']?.stamp ?? 0) <= stamp) continue;
      const entries = Object.entries(fields).map(([name, value]) => [name, { value, stamp, cause }] as const);
      this.#records.set(key, { kind, fields: { ...before, ...Object.fromEntries(entries) } as Fields });
      touched.push({ kind, key });
    }
    for (const one of touched) for (const handle of this.#handles) handle(one);
  }

  #line(level: Line['level'], about: unknown, message = ''): void {
    this.lines.push({ level, message, about: about as Line['about'] });
  }
}

/** An event as a peer wrote it. */
export function eventOf(
  actor: string,
  id: string,
  stamp: number,
  event: { type: string; data?: Record<string, Json>; ts?: number },
): Write {
  const { type, data, ts = stamp } = event;
  return {
    kind: 'event',
    key: `${kinds.event.prefix}${actor} ${id}`,
    fields: { event: { type, ts, ...(data && { data }) } },
    stamp,
  };
}
