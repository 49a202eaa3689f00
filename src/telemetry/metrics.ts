import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** A gauge's value now: one number, or one per value of its single label. */
export type Reading = number | Record<string, number> | ReadonlyMap<string, number>;

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
  private readonly gauges = new Set<string>();

  constructor(labels: { role: string; replica?: string }) {
    this.registry.setDefaultLabels(labels);
    collectDefaultMetrics({ register: this.registry, prefix: 'understudy_' });
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
      help: 'How long a step took.',
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
   * A value that is read when somebody looks. `name` is without the prefix. Registering a name twice throws:
   * two sources for one number would show whichever answered last.
   */
  gauge(name: string, help: string, read: () => Reading, label = 'name'): void {
    if (this.gauges.has(name)) throw new Error(`the gauge ${name} is already registered`);
    this.gauges.add(name);
    const gauge: Gauge<string> = new Gauge({
      name: `understudy_${name}`,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect: () => {
        const reading = read();
        gauge.reset();
        if (typeof reading === 'number') return gauge.set(reading);
        const entries = reading instanceof Map ? reading : Object.entries(reading);
        for (const [key, value] of entries as Iterable<[string, number]>) gauge.set({ [label]: key }, value);
      },
    });
  }

  /** The page that Prometheus reads. */
  async page(): Promise<{ type: string; text: string }> {
    return { type: this.registry.contentType, text: await this.registry.metrics() };
  }
}
