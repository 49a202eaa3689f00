import type { PlatformClient } from '../../../platform/client.js';
import { agentLines, type Agents } from '../agents.js';
import type { Binding } from '../binding.js';
import { stepKey } from '../platform-key.js';
import { notice } from '../texts.js';
import type { Run } from './command.js';

export function agentsCommand(deps: { agents: Agents }): Run {
  return async ({ room, person, signal }) => {
    const agents = await deps.agents.list(signal);
    if (agents.length === 0) return notice('There is no agent to talk to: the platform lists none.');
    const choice = await deps.agents.choose(room, person, signal);
    const current = 'agent' in choice ? choice.agent.id : undefined;
    return notice(`Agents (→ is this room's):\n${agentLines(agents, current)}`);
  };
}

export function agentCommand(deps: { agents: Agents; platform: PlatformClient; binding: Binding }): Run {
  return async ({ room, person, cause, args: [wanted = ''], signal, fresh }) => {
    const agents = await deps.agents.list(signal);
    const agent = agents.find((candidate) => candidate.id === wanted);
    if (agent === undefined) return notice(`There is no agent “${wanted}”.\n${agentLines(agents)}`);
    fresh();
    const request = { agent: agent.id };
    const chat = await deps.platform.createChat(stepKey(cause.id, 'createChat'), request, signal);
    fresh();
    const to = { agent: chat.agent, platformChat: chat.platform_chat_id };
    await deps.binding.rebind(room, person, to, cause);
    return notice(`This room now talks to ${agent.name} (${agent.id}), in a fresh context.`);
  };
}
