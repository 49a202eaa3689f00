import { runMachine, runOptions } from '../../tasks/run-machine.js';
import type { BotActors } from '../records.js';
import { conversationMachine, conversationOptions } from './conversation.js';
import { onboardingMachine, onboardingOptions } from './onboarding.js';

/** Ids of the machines that the bot registers itself. */
export const ownMachines: ReadonlySet<string> = new Set(
  [conversationMachine, onboardingMachine, runMachine].map(({ id }) => id),
);

/** @param archiveAfterMs a prompt's run that is over leaves the documents so long after its last event, milliseconds. */
export function registerOwn(actors: BotActors, archiveAfterMs?: number): void {
  actors.register(conversationMachine, conversationOptions);
  actors.register(onboardingMachine, onboardingOptions);
  actors.register(runMachine, runOptions(archiveAfterMs));
}
