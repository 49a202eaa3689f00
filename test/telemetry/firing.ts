import type { Process } from '../world/process.js';
import { evaluate, type Scrape } from './promql-evaluate.js';
import { alertRules } from './rules.js';

const DEADLINE_MS = 60_000;

/** What a Prometheus that scrapes these processes would know: every look is one scrape of each of them. */
export class Watch {
  readonly scrapes: Scrape[] = [];

  constructor(private readonly processes: () => readonly Process[]) {}

  /** Asks every process now. */
  async look(): Promise<void> {
    const pages = await Promise.all(
      this.processes().map(async (process) => {
        const answer = process.isRunning ? await process.page('/metrics') : undefined;
        return { name: process.name, page: answer?.status === 200 ? answer.text : undefined };
      }),
    );
    const at = Date.now() / 1000;
    for (const { name, page } of pages)
      this.scrapes.push({ at, target: { job: 'understudy', instance: name }, page });
  }

  /** Alerts that fire, as `Name instance`. Those whose rule a test makes sooner have another expression here. */
  firing(sooner: Record<string, [from: string, to: string]> = {}): string[] {
    const at = this.scrapes.at(-1)?.at ?? 0;
    return [...alertRules().values()].flatMap(({ alert, expr }) => {
      const [from, to] = sooner[alert] ?? ['', ''];
      if (!expr.includes(from)) throw new Error(`${alert} has no ${from}`);
      const found = evaluate(expr.replace(from, to), this.scrapes, at);
      return [...new Set(found.map(({ labels }) => `${alert} ${labels['instance']}`))];
    });
  }

  /** One look, taken again while a process that runs is too busy to answer; nothing may fire in it. */
  async quiet(): Promise<void> {
    const until = performance.now() + DEADLINE_MS;
    for (let isWhole = false; !isWhole;) {
      if (performance.now() > until) throw new Error('no look at all processes');
      const before = this.scrapes.length;
      await this.look();
      isWhole = this.scrapes.slice(before).every(({ page }) => page !== undefined);
    }
    if (this.firing().length > 0) throw new Error(`not silent: ${this.firing().join(', ')}`);
  }

  /** Looks until nothing fires: what a rule's `for` waits for may show for a moment. */
  async untilSilent(): Promise<void> {
    const until = performance.now() + DEADLINE_MS;
    do {
      await this.look();
      if (this.firing().length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    } while (performance.now() < until);
    throw new Error(`not silent: ${this.firing().join(', ')}`);
  }

  /** Looks until `alert` fires, or does not any more, for that process. */
  async until(fires: boolean, alert: string, process: string, sooner: Parameters<Watch['firing']>[0] = {}) {
    const until = performance.now() + DEADLINE_MS;
    for (;;) {
      await this.look();
      const firing = this.firing(sooner);
      if (firing.includes(`${alert} ${process}`) === fires) return;
      if (performance.now() > until) {
        throw new Error(
          `${alert} of ${process} ${fires ? 'never fired' : 'goes on'}: ${firing.join(', ') || 'none'}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
