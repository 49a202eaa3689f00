import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { AgentRegistry } from '../agents.js';
import { KEY_HEADER, verdict } from '../wire.js';
import type { Approvals } from './approvals.js';
import type { Chats } from './chats.js';
import { chatTopic, type Executor } from './executor.js';
import type { Erasure } from './erasure.js';
import { Refusal } from './errors.js';
import { RunFeed } from './feed.js';
import type { Followers } from './follower.js';
import type { Membership } from './membership.js';
import { checkSizes, LARGEST_PROMPT, promptSchema } from './prompt.js';
import { idSchema, parse, readBody, readKey, textSchema } from './request.js';
import { approvalTopic } from './run-request.js';
import { endOf, hasBegun, type Runs } from './runs.js';
import type { Signals } from './signals.js';

/** What the API works on. */
export interface Api {
  agents: AgentRegistry;
  chats: Chats;
  erasure: Erasure;
  runs: Runs;
  approvals: Approvals;
  executor: Executor;
  followers: Followers | undefined;
  membership: Membership;
  signals: Signals;
}

export interface Call {
  request: IncomingMessage;
  response: ServerResponse;
  /** The path's variable segments, in order. */
  params: string[];
  query: URLSearchParams;
}

/** Answers with JSON, or with a run's stream. */
type Answer = object | RunFeed;

/** Method and path below `/v1`, `*` for a variable segment. */
export type Routes = Record<string, (call: Call) => Promise<Answer>>;

const createSchema = z.object({
  agent: idSchema,
  title: textSchema.optional(),
  part_of: idSchema.optional(),
});
const branchSchema = z.object({ before: idSchema.optional() });
const decisionSchema = z.object({ decision: verdict, by: idSchema.optional() });
const nameSchema = idSchema.max(200);

export function routes(api: Api): Routes {
  const { agents, chats, runs, approvals } = api;
  const chatOf = (call: Call) => parse(idSchema, call.params[0], 'chat');
  const runOf = (call: Call) => parse(idSchema, call.params[0], 'run');
  const nameOf = (call: Call) => parse(nameSchema, call.params[1], 'name');
  return {
    'GET agents': async () => {
      const { defaultId, agents: all } = await agents.current();
      return {
        agents: all.map(({ id, name, description }) => ({
          id,
          name,
          description,
          is_default: id === defaultId,
        })),
      };
    },

    'POST chats': async ({ request }) => {
      const key = readKey(request);
      const body = await readBody(request, createSchema);
      return chats.create(key, body, async () => (await agents.find(body.agent)) !== undefined);
    },

    'POST chats/*/branch': async (call) => {
      const key = readKey(call.request);
      const { before } = await readBody(call.request, branchSchema);
      return chats.branch(key, chatOf(call), before);
    },

    'POST chats/*/messages': async (call) => {
      const key = readKey(call.request);
      const prompt = await readBody(call.request, promptSchema, LARGEST_PROMPT);
      checkSizes(prompt);
      const executor = api.membership.id;
      const { run } = await runs.begin(key, chatOf(call), prompt, executor);
      const end = endOf(run);
      if (end) {
        const replay = new RunFeed();
        for (const decided of await approvals.decidedIn(key)) replay.push({ type: 'decided', ...decided });
        replay.end(end);
        return replay;
      }
      if (run.executor === executor && hasBegun(run)) return api.executor.ensure(run, executor);
      return api.executor.feed(key) ?? follow(api, key);
    },

    'POST runs/*/cancel': async (call) => {
      const key = runOf(call);
      await runs.cancel(key);
      api.executor.abort(key);
      const run = await runs.find(key);
      if (run?.chat) api.signals.notify(chatTopic(run.chat));
      return {};
    },

    'POST runs/*/approvals/*': async (call) => {
      const key = runOf(call);
      const id = parse(idSchema, call.params[1], 'approval');
      // Without a key it is nobody's but this call's, as of somebody who decides by hand.
      const own = call.request.headers[KEY_HEADER] === undefined ? randomUUID() : readKey(call.request);
      const { decision, by } = await readBody(call.request, decisionSchema);
      const decided = await approvals.decide(key, id, { key: own, decision, by });
      api.signals.notify(approvalTopic(key, id));
      return decided;
    },

    'GET chats/*/contexts': async (call) => ({ contexts: await chats.saved(chatOf(call)) }),

    'PUT chats/*/contexts/*': async (call) => {
      await chats.save(readKey(call.request), chatOf(call), nameOf(call));
      return {};
    },

    'POST chats/*/contexts/*/load': async (call) => {
      await chats.load(readKey(call.request), chatOf(call), nameOf(call));
      return {};
    },

    'DELETE chats/*': async (call) => {
      const chat = chatOf(call);
      // Whose work ends here, whatever wrote the record: other processes see it at their next beat.
      for (const key of await api.erasure.deleteChat(readKey(call.request), chat)) api.executor.abort(key);
      api.signals.notify(chatTopic(chat));
      return {};
    },

    'DELETE chats/*/contexts/*': async (call) => {
      await api.erasure.deleteContext(readKey(call.request), chatOf(call), nameOf(call));
      return {};
    },

    'GET invocations': async ({ query }) => {
      const key = parse(idSchema, query.get('key'), 'key');
      return { key, invocations: await runs.invocations(key) };
    },

    'GET stats': async () => ({ invocations: await runs.invocations(), runs: await runs.countByStatus() }),
  };
}

function follow(api: Api, key: string): RunFeed {
  if (api.followers) return api.followers.follow(key);
  throw new Refusal('stopping', 'the run is being taken up; ask again');
}
