import { type PlatformClient, PlatformError, type RunEvent } from '../../platform/client.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import { type QuestionDeps, Questions } from '../approvals/questions.js';
import type { Outcome, WorkContext } from '../attendant.js';
import type { ActorReader } from '../actors/reader.js';
import { CANCELLED, type Recorder, shortId } from '../actors/recorder.js';
import type { Source } from '../source.js';
import type { Attachments } from '../attachments/attachments.js';
import type { Binding, Bound } from './binding.js';
import { runSoFar } from './outages.js';
import { stepKey } from './platform-key.js';
import { runFailed } from './run-failure.js';
import { notice, pickAnAgent, says } from './texts.js';

/** Answers a prompt by a run of the room's agent, in the context of its place. */
export async function answerPrompt(
  deps: {
    clock: Clock;
    log: Log;
    platform: PlatformClient;
    binding: Binding;
    /** The thread that the prompt stands in, where it has a context of its own. */
    thread: string | undefined;
    attachments: Attachments;
    recorder: Recorder;
    reader: ActorReader;
  } & QuestionDeps,
  source: Source,
  text: string,
  context: WorkContext,
): Promise<Outcome> {
  const { room, sender, ts } = source.ref;
  // Before the first call: one that is never answered keeps the placeholder back no longer than a run does.
  context.shows.thinking(runSoFar(deps.reader, source));
  const bound = await deps.binding.bind(room, sender, { id: source.id, ts }, context.signal);
  if ('gone' in bound) {
    source.failure = 'no-agent';
    return pickAnAgent(bound.gone, bound.agents, deps.prefix);
  }
  context.shows.outOfReach(false);
  const held = await deps.attachments.hold(source, context);
  if (typeof held === 'string') {
    source.failure = 'attachment';
    return notice(held);
  }
  const { attachments, release } = held;
  const prompt = { text, user: sender, ...(attachments.length > 0 && { attachments }) };
  const ask = async (own: Bound) => {
    const { platformChat } = await deps.binding.enter(own, deps.thread, context.signal);
    const key = stepKey(source.id, 'send');
    const run = deps.platform.sendMessage(key, platformChat, prompt, context.signal, release);
    return follow(deps, source, run, context);
  };
  try {
    return await ask(bound);
  } catch (error) {
    if (!(error instanceof PlatformError) || error.reason !== 'no-such-chat') throw error;
    deps.log.warn({ room }, 'the platform has lost the context of a room; it gets a fresh one');
    const again = await deps.binding.regain(room, sender, bound, { id: source.id, ts }, context.signal);
    return await ask(again);
  } finally {
    release();
  }
}

/** Why nothing can be decided on a question any more, by how its run ended. */
const ENDS = new Map([
  [CANCELLED, '🛑 Cancelled.'],
  ['approval-expired', '⌛ Nobody decided in time.'],
]);

/** Shows a run's progress until it ends. */
async function follow(
  deps: { log: Log; recorder: Recorder } & QuestionDeps,
  source: Source,
  run: AsyncIterable<RunEvent>,
  context: WorkContext,
): Promise<Outcome> {
  let shown = '';
  let asked: string | undefined;
  const questions = new Questions(deps, source, context.signal);
  for await (const event of run) {
    if (asked !== undefined && event.type !== 'approval') {
      deps.recorder.approval(source, 'RESUMED', asked);
      asked = undefined;
      context.shows.progress(shown);
    }
    switch (event.type) {
      case 'delta':
        shown += event.text;
        context.shows.progress(shown);
        break;
      case 'approval':
        asked = event.id;
        deps.recorder.approval(source, 'ASKED', event.id);
        context.shows.asks(`${shown}\n(waits for an approval: ${event.question})`);
        await questions.ask(event);
        break;
      case 'decided':
        await questions.decided(event);
        break;
      case 'final':
        await questions.over('Closed: the answer is there.');
        return says('m.text', event.text === '' ? '(The agent gave an empty answer.)' : event.text);
      case 'error':
        source.failure = shortId(event.code);
        await questions.over(ENDS.get(event.code) ?? 'Closed: the agent failed.');
        if (event.code === CANCELLED) return notice('Cancelled.');
        return runFailed(deps.log, source, event);
    }
  }
  throw new PlatformError('unreachable', 'the run ended without a final event');
}
