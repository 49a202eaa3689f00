import type { DocumentName } from '../../src/documents/ids.js';
import type { StateNode } from '../../src/index.js';

/** The actors document of the one shard that is read now. */
export function currentActors(node: StateNode): DocumentName {
  const { name } = node.heads().find((one) => one.name.startsWith('actors/0'))!;
  const [, generation, cut] = /^actors\/0(?:\.(\d+)\.(.+))?$/.exec(name)!;
  return cut === undefined
    ? { kind: 'actors', index: 0, generation: 0 }
    : { kind: 'actors', index: 0, generation: Number(generation), cut };
}
