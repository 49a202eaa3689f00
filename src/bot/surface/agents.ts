import type { Agent, PlatformClient } from '../../platform/client.js';
import type { Records } from '../records.js';

/** Which agent a room talks to, or that the one it should talk to is gone. */
export type Choice = { agent: Agent } | { gone: string; agents: Agent[] };

/** The agents there are, and the choice between them (REQUIREMENTS R1: an agent that is gone never crashes). */
export class Agents {
  constructor(
    private readonly platform: PlatformClient,
    private readonly records: Records,
  ) {}

  list(signal: AbortSignal): Promise<Agent[]> {
    return this.platform.agents(signal);
  }

  /** The room's own agent, else the person's, else the registry's default. */
  async choose(room: string | undefined, person: string, signal: AbortSignal): Promise<Choice> {
    const agents = await this.list(signal);
    const wanted =
      (room === undefined ? undefined : this.records.room(room)?.agent_id) ??
      this.records.user(person)?.selected_agent_id;
    const agent =
      wanted === undefined
        ? (agents.find((candidate) => candidate.isDefault) ?? agents[0])
        : agents.find((candidate) => candidate.id === wanted);
    return agent === undefined ? { gone: wanted ?? 'default', agents } : { agent };
  }
}

/** One line an agent, for the list that people choose from. */
export function agentLines(agents: readonly Agent[], current?: string): string {
  return agents
    .map(({ id, name, description }) => {
      const about = description === '' ? '' : ` — ${description}`;
      return `${id === current ? '→' : '·'} ${id}: ${name}${about}`;
    })
    .join('\n');
}
