import { PlatformError } from '../platform/client.js';
import { sleep } from '../time/clock.js';
import type { BotDeps } from './deps.js';

const AGAIN_MS = { first: 1_000, most: 60_000 };
/** How long a turn that is not ours is waited for before it is asked about again, milliseconds. */
const TURN_MS = 1_000;

/**
 * Has the contexts of persons who were forgotten deleted at the platform. What is owed stands in the documents, so it
 * outlives an outage, this process, and this replica; the key is the same on all of them, so that a context is deleted
 * once, and one that takes its place stays (docs/decisions/0017).
 */
export class ForgottenContexts {
  private readonly ended = new AbortController();
  private working: Promise<void> | undefined;
  private again = false;

  constructor(private readonly deps: Pick<BotDeps, 'state' | 'platform' | 'clock' | 'log' | 'happened'>) {}

  /** Something may be owed. */
  look(): void {
    this.again = true;
    if (this.ended.signal.aborted || (this.deps.state.erasure?.owedContexts().length ?? 0) === 0) return;
    this.working ??= this.work()
      .catch((error: unknown) => {
        if (this.ended.signal.aborted) return;
        this.deps.log.error(
          { error: String(error) },
          'contexts of a forgotten person stay owed to the platform',
        );
      })
      .finally(() => {
        this.working = undefined;
        if (this.again) this.look();
      });
  }

  async close(): Promise<void> {
    this.ended.abort(new Error('the bot is closing'));
    await this.working;
  }

  private async work(): Promise<void> {
    const { state, clock } = this.deps;
    const since = clock.monotonic();
    let pause = AGAIN_MS.first;
    while (!this.ended.signal.aborted) {
      this.again = false;
      const [owed] = state.erasure?.owedContexts() ?? [];
      if (owed === undefined) return;
      // By rank: the others wait, and find it done.
      const waitMs = state.actorTurn(`erasure/${owed.place}`, since);
      if (waitMs > 0) {
        await sleep(clock, Math.min(waitMs, TURN_MS), this.ended.signal);
        continue;
      }
      if (await this.delete(owed)) pause = AGAIN_MS.first;
      else {
        await sleep(clock, pause, this.ended.signal);
        pause = Math.min(pause * 2, AGAIN_MS.most);
      }
    }
  }

  private async delete(
    owed: Parameters<NonNullable<BotDeps['state']['erasure']>['contextGone']>[0],
  ): Promise<boolean> {
    const { state, platform, log, happened } = this.deps;
    try {
      await platform.deleteChat(owed.key, owed.chat, this.ended.signal);
      await state.erasure?.contextGone(owed);
      happened?.('forget-context', 'ok');
      return true;
    } catch (error) {
      if (this.ended.signal.aborted) throw error;
      happened?.('forget-context', error instanceof PlatformError ? error.code : 'failed');
      log.warn({ error: String(error) }, 'a context of a forgotten person was not deleted: tried again');
      return false;
    }
  }
}
