import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** A value now: one number, or one per value of its single label; undefined while there is none. */
export type Reading = number | Record<string, number> | ReadonlyMap<string, number> | undefined;

/**
 * The metrics of one process, all named `understudy_*`, in the format that Prometheus reads. No label ever
 * carries a room, a person or a text: their number has no bound, and they are nobody else's business.
 */
export class Metrics {
  readonly registry = new Registry();

  /** Errors that were handled rather than thrown, by where and by their `code`. */
  private readonly errors: Counter<'part' | 'code'>;
  private readonly events: Counter<'event' | 'outcome'>;
  private readonly durations: Histogram<'step'>;
  private readonly read = new Set<string>();

  constructor(labels: { role: string; replica?: string }) {
    this.registry.setDefaultLabels(labels);
    collectDefaultMetrics({ register: this.registry, prefix: 'understudy_' });
    // Gauges under the names of counters; the same stands by type beside them.
    for (const what of ['handles', 'requests', 'resources'])
      this.registry.removeSingleMetric(`understudy_nodejs_active_${what}_total`);
    const registers = [this.registry];
    this.errors = new Counter({
      name: 'understudy_errors_total',
      help: 'Errors that were handled, by part and code.',
      labelNames: ['part', 'code'],
      registers,
    });
    this.events = new Counter({
      name: 'understudy_events_total',
      help: 'What happened: prompts, answers, sends, takeovers, flushes, by outcome.',
      labelNames: ['event', 'outcome'],
      registers,
    });
    this.durations = new Histogram({
      name: 'understudy_duration_seconds',
      help: 'How long a step took, by step.',
      labelNames: ['step'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 600],
      registers,
    });
  }

  /** Counts an error that was handled on the spot. `part` and `code` are words of ours, never foreign text. */
  counted(part: string, code: string): void {
    this.errors.inc({ part, code });
  }

  /** Counts one occurrence, for example `happened('answer', 'final')`. */
  happened(event: string, outcome = 'ok'): void {
    this.events.inc({ event, outcome });
  }

  /** Records the length of a step in milliseconds; shown in seconds. */
  took(step: string, ms: number): void {
    this.durations.observe({ step }, ms / 1000);
  }

  /**
   * A value that is read when somebody looks; `label` where there is one number per value of it. `name` is without
   * the prefix. Registering a name twice throws: two sources for one number would show whichever answered last.
   */
  gauge(name: string, help: string, read: () => Reading, label?: string): void {
    const gauge: Gauge<string> = new Gauge({
      ...this.head(name, help, label),
      collect: () => {
        if (label === undefined) gauge.remove({});
        else gauge.reset();
        for (const [labels, value] of this.samples(name, read, label)) gauge.set(labels, value);
      },
    });
  }

  /**
   * Counts since the start of this process that are kept elsewhere, read when somebody looks. `name` ends in
   * `_total`. A source that begins anew at zero is added to what it had: a counter never falls.
   */
  counter(name: string, help: string, read: () => Reading, label?: string): void {
    const shown = new Map<string, number>();
    const counter: Counter<string> = new Counter({
      ...this.head(name, help, label),
      collect: () => {
        for (const [labels, value] of this.samples(name, read, label)) {
          const key = Object.values(labels).join();
          const before = shown.get(key) ?? 0;
          counter.inc(labels, value < before ? value : value - before);
          shown.set(key, value);
        }
      },
    });
  }

  private head(name: string, help: string, label: string | undefined) {
    if (this.read.has(name)) throw new Error(`the metric ${name} is already registered`);
    // It would hide which process this is.
    if (label === 'role' || label === 'replica')
      throw new Error(`${name}: every metric has a label ${label}`);
    this.read.add(name);
    const labelNames = label === undefined ? [] : [label];
    return { name: `understudy_${name}`, help, labelNames, registers: [this.registry] };
  }

  /** A source that throws shows nothing, and is counted: it must not take the page with all the others down. */
  private samples(name: string, read: () => Reading, label: string | undefined) {
    try {
      const reading = read();
      if (typeof reading === 'number') return [[{}, reading] as const];
      if (reading === undefined) return [];
      const entries = reading instanceof Map ? [...reading] : Object.entries(reading);
      return entries.map(([key, value]) => [{ [label ?? 'name']: String(key) }, Number(value)] as const);
    } catch {
      this.counted('metrics', name);
      return [];
    }
  }

  /** The page that Prometheus reads. */
  async page(): Promise<{ type: string; text: string }> {
    return { type: this.registry.contentType, text: await this.registry.metrics() };
  }
}
