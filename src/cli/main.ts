import { CommanderError } from 'commander';
import { debugFilter } from '../telemetry/debug-filter.js';
import { Redactor } from '../telemetry/redact.js';
import { explain } from './explain.js';
import { program } from './program.js';

/**
 * Runs one command and resolves to its exit code: 0 done, 1 failed, 2 settings, 3 unreachable. An error ends as
 * one line on standard error; its stack is shown only under DEBUG.
 */
export async function main(argv: string[]): Promise<number> {
  let code = 0;
  // Whoever reads the output may stop in the middle, as `head` does.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(code);
  });
  const cli = program(process.env, (exitCode) => (code = exitCode));
  try {
    await cli.parseAsync(argv, { from: 'user' });
  } catch (error) {
    code = failed(error);
  }
  // Whatever still holds the process open after its work is done must not keep it from ending.
  setTimeout(() => process.exit(code), 2_000).unref();
  return code;
}

function failed(error: unknown): number {
  // The command line itself was wrong; commander has said how, or has shown the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const { line, exitCode } = explain(error);
  const redactor = new Redactor();
  process.stderr.write(`understudy: ${redactor.text(line)}\n`);
  if (debugFilter(process.env['DEBUG'])('understudy:cli') && error instanceof Error) {
    process.stderr.write(`${redactor.text(error.stack ?? '')}\n`);
  }
  return exitCode;
}
