import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The idempotent downstream of effects: a folder that outlives whoever calls. */
export class Ledger {
  constructor(private readonly dir: string) {}

  /** Takes a call; a second one with the same id changes nothing. */
  carryOut(id: string, name: string): void {
    appendFileSync(join(this.dir, 'calls'), `${id}\n`);
    const entry = join(this.dir, `${id}.entry`);
    if (!existsSync(entry)) writeFileSync(entry, name, { flag: 'wx' });
  }

  /** Ids of all calls, in order. */
  calls(): string[] {
    const file = join(this.dir, 'calls');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  }

  /** What it shows: the names of what was carried out, sorted. */
  entries(): string[] {
    const names = readdirSync(this.dir).filter((name) => name.endsWith('.entry'));
    return names.map((name) => readFileSync(join(this.dir, name), 'utf8')).sort();
  }
}
