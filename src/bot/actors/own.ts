import { runMachine, runOptions } from '../../tasks/run-machine.js';
import type { BotActors } from '../records.js';
import { conversationMachine, conversationOptions } from './conversation.js';
import { onboardingMachine, onboardingOptions } from './onboarding.js';

const own = [
  { machine: conversationMachine, options: conversationOptions },
  { machine: onboardingMachine, options: onboardingOptions },
  { machine: runMachine, options: runOptions() },
];

/** Ids of the machines that the bot registers itself. */
export const ownMachines: ReadonlySet<string> = new Set(own.map(({ machine }) => machine.id));

export function registerOwn(actors: BotActors): void {
  for (const { machine, options } of own) actors.register(machine, options);
}
