/** The last paragraph of a command's `--help`. */
export function examples(...lines: [command: string, does: string][]): string {
  return `\nExamples:\n${lines.map(([command, does]) => `  $ ${command}\n      ${does}`).join('\n')}`;
}
