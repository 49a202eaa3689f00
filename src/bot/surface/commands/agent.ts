import type { PlatformClient } from '../../../platform/client.js';
import { agentLines, type Agents } from '../agents.js';
import type { Binding } from '../binding.js';
import { stepKey } from '../platform-key.js';
import { notice } from '../texts.js';
import type { Command } from './command.js';

export function agentsCommand(deps: { agents: Agents }): Command {
  return {
    name: 'agents',
    usage: 'agents',
    summary: 'list the agents you can talk to',
    async run({ room, person, signal }) {
      const agents = await deps.agents.list(signal);
      if (agents.length === 0) return notice('There is no agent to talk to: the platform lists none.');
      const choice = await deps.agents.choose(room, person, signal);
      const current = 'agent' in choice ? choice.agent.id : undefined;
      return notice(`Agents (→ is this room's):\n${agentLines(agents, current)}`);
    },
  };
}

export function agentCommand(deps: {
  agents: Agents;
  platform: PlatformClient;
  binding: Binding;
  prefix: string;
}): Command {
  return {
    name: 'agent',
    usage: 'agent ID',
    summary: 'talk to this agent in this room (in a fresh context), and in rooms you make from now on',
    async run({ room, person, cause, args, signal }) {
      const agents = await deps.agents.list(signal);
      const [wanted] = args;
      if (wanted === undefined) return notice(`Which one? ${deps.prefix}agent ID\n${agentLines(agents)}`);
      const agent = agents.find((candidate) => candidate.id === wanted);
      if (agent === undefined) return notice(`There is no agent “${wanted}”.\n${agentLines(agents)}`);
      const chat = await deps.platform.createChat(
        stepKey(cause.id, 'createChat'),
        { agent: agent.id },
        signal,
      );
      signal.throwIfAborted();
      await deps.binding.rebind(
        room,
        person,
        { agent: chat.agent, platformChat: chat.platform_chat_id },
        cause,
        signal,
      );
      return notice(`This room now talks to ${agent.name} (${agent.id}), in a fresh context.`);
    },
  };
}
