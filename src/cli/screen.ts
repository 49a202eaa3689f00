import { createInterface, cursorTo, moveCursor, clearScreenDown, type Interface } from 'node:readline';
import { printable } from './printable.js';

/** A terminal with a line being typed at the bottom and messages above it, the last of which may still change. */
export class Screen {
  private readonly line: Interface;
  /** The message on which the cursor stands below, and how many rows it takes. */
  private open: { id: string; rows: number } | undefined;

  constructor(
    input: NodeJS.ReadStream,
    private readonly output: NodeJS.WriteStream,
    prompt: string,
  ) {
    this.line = createInterface({ input, output, prompt });
    this.line.on('line', () => (this.open = undefined));
  }

  note(text: string): void {
    this.output.write(`${text}\n`);
    this.line.prompt();
  }

  /** Shows a message, in place of its earlier text while nothing else has been printed since. */
  show(id: string, text: string, isFinal: boolean): void {
    cursorTo(this.output, 0);
    if (this.open?.id === id) moveCursor(this.output, 0, -this.open.rows);
    clearScreenDown(this.output);
    const clean = printable(text);
    this.output.write(`${clean}\n`);
    const width = this.output.columns || 80;
    const rows = clean.split('\n').reduce((sum, row) => sum + Math.max(1, Math.ceil(row.length / width)), 0);
    this.open = isFinal ? undefined : { id, rows };
    this.line.prompt(true);
  }

  /** Runs `act` for every line typed, until the end of input or Ctrl-C. */
  eachLine(act: (line: string) => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.line.on('line', (line) => {
        act(line).then(() => this.line.prompt(), reject);
      });
      this.line.on('SIGINT', () => this.line.close());
      this.line.on('close', resolve);
      this.line.prompt();
    });
  }

  close(): void {
    this.line.close();
  }
}
