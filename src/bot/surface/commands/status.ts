import { notice } from '../texts.js';
import type { Command } from './command.js';

/** What a replica says of itself and of the others it sees. */
export interface StatusReport {
  replica: string;
  alive: { replica: string; candidate: boolean }[];
  relay: boolean;
  /** Ms since the homeserver's last answer. */
  homeserverAgoMs: number;
  pending: number;
  heldMs: number;
  warnings: string[];
}

export function statusCommand(deps: { status: () => StatusReport }): Command {
  return {
    name: 'status',
    usage: 'status',
    summary: 'which replica answers, which are alive, relay, lag',
    ahead: true,
    async run() {
      const now = deps.status();
      const others = now.alive.map(({ replica, candidate }) =>
        candidate ? replica : `${replica} (not ready)`,
      );
      const lines = [
        `answered by: ${now.replica}`,
        `alive besides: ${others.length === 0 ? 'none' : others.join(', ')}`,
        `relay: ${now.relay ? 'connected' : 'out of reach, working alone'}`,
        `lag: homeserver heard ${Math.round(now.homeserverAgoMs)} ms ago, ${now.pending} pending`,
        ...(now.heldMs > 0 ? [`rate limit: sends held back for ${Math.round(now.heldMs)} ms`] : []),
        ...now.warnings.map((warning) => `warning: ${warning}`),
      ];
      return Promise.resolve(notice(lines.join('\n')));
    },
  };
}
