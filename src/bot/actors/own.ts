import { runMachine, runOptions } from '../../tasks/run-machine.js';
import type { BotActors } from '../records.js';
import { conversationMachine, conversationOptions } from './conversation.js';
import { onboardingMachine, onboardingOptions } from './onboarding.js';

/** Ids of the machines that the bot registers itself. */
export const ownMachines: ReadonlySet<string> = new Set(
  [conversationMachine, onboardingMachine, runMachine].map(({ id }) => id),
);

/** That of tasks stands already, with the age at which they leave, where the state was opened (bot/state.ts). */
export function registerOwn(actors: BotActors): void {
  actors.register(conversationMachine, conversationOptions);
  actors.register(onboardingMachine, onboardingOptions);
  actors.register(runMachine, runOptions());
}
