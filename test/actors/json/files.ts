import { MachineFileError, type Problem } from '../../../src/actors/json/errors.js';
import {
  parseMachineFiles,
  type LoadedMachine,
  type MachineFile,
} from '../../../src/actors/json/machine-file.js';

/** A machine file with this content; text stands as it is. */
export const file = (content: unknown, name = 'm.json'): MachineFile => ({
  file: name,
  bytes: new TextEncoder().encode(typeof content === 'string' ? content : JSON.stringify(content)),
});

/** The only machine of a file with this content. */
export function machine(content: unknown): LoadedMachine {
  const [loaded] = parseMachineFiles([file(content)]);
  if (loaded === undefined) throw new Error('no machine came of it');
  return loaded;
}

/** What is wrong in these files. */
export function problems(...files: MachineFile[]): readonly Problem[] {
  try {
    parseMachineFiles(files);
  } catch (error) {
    if (error instanceof MachineFileError) return error.problems;
    throw error;
  }
  return [];
}
