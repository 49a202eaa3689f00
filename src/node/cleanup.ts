import type { Log } from '../telemetry/log.js';

/** Undoes, in reverse order, what an opening has done; one step that fails keeps no other from running. */
export class Cleanup {
  readonly #steps: { what: string; undo: () => Promise<void> | void }[] = [];

  constructor(private readonly log: Log) {}

  add(what: string, undo: () => Promise<void> | void): void {
    this.#steps.push({ what, undo });
  }

  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.undo();
      } catch (error) {
        this.log.error({ err: error, step: step.what }, 'closing a part of the node failed');
      }
    }
  }
}
