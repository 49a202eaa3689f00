import type { Command } from 'commander';
import type { Environment } from '../config/reader.js';
import type { Setting } from '../config/settings.js';
import type { Invocation } from '../process.js';

/** A command's module, loaded only when that command runs. */
type Run = (
  invocation: Invocation,
  options: Record<string, unknown>,
  argument?: string,
  list?: readonly string[],
) => Promise<number> | number;

/** What commander calls for a command: `settings` are those of its options that are settings too. */
export type ActionOf = (
  settings: Record<string, [flag: string, setting: Setting<unknown>]>,
  load: () => Promise<{ run: Run }>,
) => (...args: unknown[]) => Promise<void>;

/** `finish` is given the exit code of the command that ran. */
export function actionOf(cli: Command, env: Environment, finish: (code: number) => void): ActionOf {
  return (settings, load) =>
    async (...args) => {
      const command = args.at(-1) as Command;
      // An option that a command shares with the one above it is taken by that one.
      const options = command.optsWithGlobals<Record<string, unknown>>();
      const flags: Invocation['flags'] = new Map();
      for (const [option, [flag, { name }]] of Object.entries(settings)) {
        const text = options[option];
        if (typeof text === 'string') flags.set(name, { flag, text });
      }
      const { config } = cli.opts<{ config?: string }>();
      const { run } = await load();
      const argument = typeof args[0] === 'string' ? args[0] : undefined;
      const list = args.slice(0, -2).find((given): given is string[] => Array.isArray(given));
      const invocation = { env, flags, ...(config !== undefined && { configFile: config }) };
      finish(await run(invocation, options, argument, list));
    };
}
