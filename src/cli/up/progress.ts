import type { Clock } from '../../time/clock.js';

/** Lines for the person who waits: what is being done now, and how long each step took. */
export class Progress {
  constructor(
    private readonly clock: Clock,
    private readonly write: (line: string) => void,
  ) {}

  say(text: string): void {
    this.write(text);
  }

  /** One step: its name at once, its details as they come, its result and time at the end. */
  async step<T>(
    name: string,
    work: (detail: (text: string) => void) => Promise<T>,
    result: (value: T) => string,
  ): Promise<T> {
    const start = this.clock.monotonic();
    this.write(`… ${name}`);
    let value: T;
    try {
      value = await work((text) => this.write(`    ${text}`));
    } catch (error) {
      this.write(`✗ ${name}`);
      throw error;
    }
    const seconds = ((this.clock.monotonic() - start) / 1000).toFixed(1);
    this.write(`✓ ${name}: ${result(value)} (${seconds} s)`);
    return value;
  }
}
