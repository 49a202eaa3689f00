import { existsSync } from 'node:fs';
import { MachineFileError } from '../../actors/json/errors.js';
import { Machines } from '../../actors/machines.js';
import { conversationMachine, conversationOptions } from '../../bot/actors/conversation.js';
import { onboardingMachine, onboardingOptions } from '../../bot/actors/onboarding.js';
import { loadMachines } from '../../storage/machine-files.js';
import { runMachine, runOptions } from '../../tasks/run-machine.js';
import type { SettingsReader } from '../config/reader.js';
import { machinesDir } from '../config/settings.js';
import { wrongSetting } from '../user-error.js';

/** The machines by which a folder's actors are folded here: the bot's own, and those of the files. */
export async function knownMachines(read: SettingsReader): Promise<Machines> {
  const dir = read.required(machinesDir);
  if (read.isGiven(machinesDir) && !existsSync(dir)) {
    throw wrongSetting(`UNDERSTUDY_MACHINES_DIR: there is no folder ${dir}`);
  }
  const machines = new Machines();
  machines.register(conversationMachine, conversationOptions);
  machines.register(onboardingMachine, onboardingOptions);
  machines.register(runMachine, runOptions());
  try {
    for (const { machine, options } of await loadMachines(dir)) machines.register(machine, options);
  } catch (error) {
    if (error instanceof MachineFileError) throw wrongSetting(error.message, error);
    throw error;
  }
  return machines;
}
