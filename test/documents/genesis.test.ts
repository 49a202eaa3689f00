import * as A from '@automerge/automerge';
import { describe, expect, it } from 'vitest';
import { documentMaps, genesisBytes } from '../../src/documents/genesis.js';
import { describeDocument, documentId, type DocumentName } from '../../src/documents/ids.js';

const name = (kind: DocumentName['kind'], index = 0, generation = 0): DocumentName => ({
  kind,
  index,
  generation,
});
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Bytes on disks and on peers: a difference here is a broken data format, never a test to mend. */
const PINNED = [
  [
    'cluster',
    0,
    '856f4a83677836520199010010756e64657273747564792d66697273740101000767656e65736973000a0106020611061309152d3403420756095709700200020700000400020702000400030600000400027e0003050100047e06736368656d61046b696e6400077c0a67656e65726174696f6e046d657461076d656d6265727304637574730207047e0104080103007e140007167f14030001636c7573746572000d00',
  ],
  [
    'routing',
    3,
    '856f4a83d0c80d8601a0010010756e64657273747564792d66697273740101000767656e65736973000a01060206110613091533340342075609570a700200020700000500020702000500030600000500027e0003050100057e06736368656d61046b696e6400077b05696e6465780a67656e65726174696f6e05757365727305726f6f6d730563686174730207057e0104090103007e140007160214030001726f7574696e6703000e00',
  ],
  [
    'actors',
    63,
    '856f4a83ea64af3d01c1010010756e64657273747564792d66697273740101000767656e65736973000a010602061106130915553403420756095709700200020600000a00020602000a00030500000a00027e00030401000a7e06736368656d61046b696e6400067605696e6465780a67656e65726174696f6e066163746f7273066576656e7473046261736504646f6e65056d61726b7308617474656d70747306666c6f6f7273057461736b7302060a7e0104080108007e1400061602140800016163746f72733f001200',
  ],
  [
    'keyed',
    20000,
    '856f4a835da10b620196010010756e64657273747564792d66697273740101000767656e65736973000a01060206110613091529340342075609570a700200020500000300020502000300030400000300027e0003030100037e06736368656d61046b696e6400057d05696e6465780a67656e65726174696f6e07656e74726965730205037e010407017f007e140005167d341400016b65796564a09c01000a00',
  ],
] as const;
const PINNED_IDS = [
  '24FnP8rTst4JFgaTg43fKqBp86JZ',
  'EAaafVx3h1WQNTEPSjbDGF8DZXL',
  '7sZk9DTPxmkwdaZoVAtt1WREaYJ',
];

describe('first bytes of a document', () => {
  it.each(PINNED)('of %o are pinned byte for byte', (kind, index, bytes) => {
    expect(hex(genesisBytes(name(kind, index)))).toBe(bytes);
  });

  it('make every map of the family, empty', () => {
    for (const kind of ['cluster', 'routing', 'actors', 'keyed'] as const) {
      const document = A.loadIncremental(A.init<Record<string, unknown>>(), genesisBytes(name(kind, 3)));
      for (const map of documentMaps[kind]) expect(document[map]).toEqual({});
      expect(document['schema']).toBe(1);
      expect(document['kind']).toBe(kind);
    }
  });

  it('made apart and edited apart merge to one document without a conflict (A5: never the first author again)', () => {
    const open = () =>
      A.loadIncremental(A.init<Record<string, Record<string, unknown>>>(), genesisBytes(name('actors', 1)));
    const put = (key: string) => (draft: Record<string, Record<string, unknown>>) => {
      draft['events']![key] = new A.ImmutableString(key);
    };
    const left = A.change(open(), put('one'));
    const right = A.change(open(), put('two'));
    expect(A.getActorId(left)).not.toBe(A.getActorId(right));
    const merged = A.merge(left, right);
    expect(Object.keys(merged['events']!)).toEqual(['one', 'two']);
    expect(A.getConflicts(merged, 'events')).toBeUndefined();
  });
});

describe('document ids', () => {
  it('are pinned', () => {
    expect(documentId('secret', name('cluster'))).toBe(PINNED_IDS[0]);
    expect(documentId('secret', name('routing', 3))).toBe(PINNED_IDS[1]);
    expect(documentId('secret', name('actors', 3, 1))).toBe(PINNED_IDS[2]);
  });

  it('differ by cluster, kind, index and generation, however the parts are cut', () => {
    const ids = [
      documentId('a', name('routing')),
      documentId('b', name('routing')),
      documentId('a', name('actors')),
      documentId('a', name('routing', 1)),
      documentId('a', name('routing', 1, 1)),
      documentId('a', name('routing', 11)),
      documentId('a', name('routing', 0, 1)),
      documentId('ar', name('routing')),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('have a name for people', () => {
    expect(describeDocument(name('cluster'))).toBe('cluster');
    expect(describeDocument(name('routing', 3))).toBe('routing/3');
    expect(describeDocument(name('actors', 3, 2))).toBe('actors/3.2');
    expect(describeDocument({ ...name('actors', 3, 2), cut: 'c' })).toBe('actors/3.2.c');
    expect(describeDocument({ ...name('keyed', 20000), cut: '1d.prompts' })).toBe('keyed/20000.1d.prompts');
  });
});
