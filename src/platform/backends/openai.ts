import { z } from 'zod';
import type { Log } from '../../telemetry/log.js';
import { sleep, type Clock } from '../../time/clock.js';
import type { AgentDefinition } from '../agents.js';
import { deadline } from '../deadline.js';
import { withNames } from '../attachments.js';
import { BackendError, type Backend, type BackendRequest } from './backend.js';
import { contentOf } from './openai-content.js';
import { readCompletion } from './openai-stream.js';

export interface OpenAiOptions {
  env: NodeJS.ProcessEnv;
  clock: Clock;
  log: Log;
  /** Asks at most so often per run. */
  attempts?: number;
  /** First pause between two askings, doubled each time up to 30 s, with jitter. */
  backoffMs?: number;
  /** The endpoint may be silent for so long, also before its first word. */
  silenceMs?: number;
}

/**
 * Asks any OpenAI-compatible `/chat/completions` endpoint, streaming. A cut stream, 408, 429, 5xx or silence is
 * asked again with back-off inside the run; each asking counts as one invocation. **Not resumable**: the
 * endpoint has no key to ask under again, so after a restart of the platform the model is asked once more.
 */
export function openAiBackend(options: OpenAiOptions): Backend {
  const { clock, log, attempts = 5, backoffMs = 500 } = options;
  return {
    async answer(request, signal) {
      const attachments = await request.attachments();
      const used = attachments.reduce((sum, { bytes }) => sum + bytes.length, 0);
      const turns = await request.history(used);
      const messages = [
        ...(request.agent.system_prompt ? [{ role: 'system', content: request.agent.system_prompt }] : []),
        ...turns.map((turn) => ({ role: turn.role, content: contentOf(turn.text, turn.attachments) })),
        { role: 'user', content: contentOf(withNames(request.text, attachments), attachments) },
      ];
      for (let attempt = 1; ; attempt++) {
        await request.invoke();
        try {
          return await ask(options, request, messages, signal);
        } catch (error) {
          signal.throwIfAborted();
          if (error instanceof BackendError) throw error;
          const reason = error as Error;
          log.warn(
            { agent: request.agent.id, attempt, error: reason.message },
            'model endpoint did not answer',
          );
          if (attempt >= attempts) {
            throw new BackendError(
              'backend-unavailable',
              `agent "${request.agent.id}" gave no answer in ${attempts} attempts (${reason.message})`,
            );
          }
          const asked = error instanceof TryAgain ? (error.retryAfterMs ?? 0) : 0;
          const pause = Math.min(30_000, backoffMs * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
          await sleep(clock, Math.max(pause, asked), signal);
        }
      }
    },
  };
}

/** The endpoint may do better next time. */
class TryAgain extends Error {
  constructor(
    message: string,
    readonly retryAfterMs?: number,
  ) {
    super(message);
  }
}

async function ask(
  { env, clock, silenceMs = 120_000 }: OpenAiOptions,
  request: BackendRequest,
  messages: object[],
  signal: AbortSignal,
): Promise<string> {
  const patience = deadline(clock, silenceMs, signal);
  const key = env['OPENAI_API_KEY'];
  try {
    const response = await fetch(endpoint(request.agent, env), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        ...(key ? { authorization: `Bearer ${key}` } : {}),
      },
      body: JSON.stringify({ model: request.agent.model, messages, stream: true }),
      signal: patience.signal,
    });
    if (!response.ok || !response.body) throw await refusal(request.agent, response);
    return await readCompletion(
      response.body,
      (text) => request.delta(text),
      () => patience.extend(silenceMs),
    );
  } catch (error) {
    if (patience.expired()) throw new TryAgain(`silent for ${silenceMs} ms`);
    throw readableCause(error);
  } finally {
    patience.clear();
  }
}

function endpoint(agent: AgentDefinition, env: NodeJS.ProcessEnv): string {
  const base = agent.base_url ?? env['OPENAI_BASE_URL'];
  if (!base) throw new BackendError('backend-misconfigured', `agent "${agent.id}" has no base_url`);
  return `${base.replace(/\/+$/, '')}/chat/completions`;
}

const refusalBody = z.object({ error: z.object({ message: z.string() }) });

/** 4xx (but 408 and 429) is final; anything else is worth another try. */
async function refusal(agent: AgentDefinition, response: Response): Promise<Error> {
  const body = (await response.text()).slice(0, 10_000);
  const { status } = response;
  if (status >= 500 || status === 408 || status === 429) {
    const seconds = Number(response.headers.get('retry-after'));
    const wait = Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 300) * 1000 : undefined;
    return new TryAgain(`HTTP ${status}`, wait);
  }
  const parsed = refusalBody.safeParse(parseJson(body));
  const why = parsed.success ? `: ${parsed.data.error.message.slice(0, 300)}` : '';
  return new BackendError(
    'backend-refused',
    `agent "${agent.id}" was refused by its endpoint (HTTP ${status})${why}`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not JSON: the caller's schema says no
  }
}

/** `fetch failed` says nothing; its cause does (ECONNREFUSED and the like). */
function readableCause(error: unknown): unknown {
  if (!(error instanceof TypeError) || !(error.cause instanceof Error)) return error;
  const cause = error.cause as NodeJS.ErrnoException;
  return new TryAgain(cause.code ?? cause.message);
}
