import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CLUSTER, eventually, folder, relay, sameHeads } from '../node/world.js';
import { compiledChildren, startChild } from '../storage/children/build.js';
import { counted, cutting, generationOf, generationsOnDisk } from './world.js';

/** What a cut has left to do. */
async function leftIn(dataDir: string): Promise<string[]> {
  const text = await readFile(join(dataDir, 'generations.json'), 'utf8');
  const { begun, removing } = JSON.parse(text) as { begun: string[]; removing: string[] };
  return [...begun, ...removing];
}

const children = compiledChildren('test/generations/children', ['cut-child']);

describe('a kill', () => {
  it('A6-kill: before any change to the disk in a cut leaves every event counted once, and nothing behind', async () => {
    const hub = await relay();
    const dataDir = await folder();
    const other = await cutting([hub]);
    const events: string[] = [];
    let kills = 0;
    for (let done = false; !done;) {
      const event = `$${events.length + 1}`;
      const child = startChild(children.path('cut-child'), [
        CLUSTER,
        dataDir,
        hub.url,
        event,
        String(kills + 1),
      ]);
      await child.line((line) => line === 'sent');
      events.push(event);
      const code = await child.ended;
      done = child.lines.includes('done');
      expect(done ? code : 'SIGKILL').toBe(code);
      kills += done ? 0 : 1;
      const again = await cutting([hub], { dataDir, replicaId: 'killed' });
      await eventually(() => sameHeads(again, other));
      for (const side of [again, other])
        expect(counted(side), `killed at ${kills}`).toEqual([...events].sort());
      expect(generationOf(again)).toBe(generationOf(other));
      await again.close();
    }
    expect(await leftIn(dataDir)).toEqual([]);
    expect(await generationsOnDisk(dataDir)).toHaveLength(1);
    // Begun and made known, both generations and the record: fewer, and the kills would not have hit between them.
    expect(kills).toBeGreaterThan(6);
  }, 240_000);
});
