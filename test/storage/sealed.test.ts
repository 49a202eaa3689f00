import { mkdir, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as A from '@automerge/automerge';
import type { StorageKey } from '@automerge/automerge-repo';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/storage/checksum.js';
import { DurableStorage } from '../../src/storage/durable.js';
import type { StorageEvent } from '../../src/storage/durable.js';
import { newSealingKey, seal, sealedWith, sealingKey, unseal } from '../../src/storage/seal.js';
import type { SealingKey } from '../../src/storage/seal.js';
import type { Keyring } from '../../src/storage/sealed-chunks.js';
import { silentLog } from '../../src/telemetry/log.js';
import { scratchFolder } from './scratch.js';

function freshKey(): SealingKey {
  const key = sealingKey(newSealingKey());
  if (!key) throw new Error('no key');
  return key;
}

const [ONE, TWO] = [freshKey(), freshKey()];

const secret = 'whoever reads this has read a document';
const change = A.save(A.from({ text: new A.ImmutableString(secret) }));
const incremental = ['doc', 'incremental', sha256(change)];
const KEYS: StorageKey[] = [
  ['doc', 'snapshot', 'heads'],
  incremental,
  ['doc', 'sync-state', 'peer'],
  ['storage-adapter-id'],
];

function open(dir: string, keys: Keyring, onEvent: (event: StorageEvent) => void = () => {}): DurableStorage {
  return new DurableStorage({ dir, keys, log: silentLog, onEvent });
}

async function close(storage: DurableStorage): Promise<void> {
  await storage.close(AbortSignal.timeout(60_000));
}

/** A folder with a chunk of each kind. */
async function filled(keys: Keyring): Promise<string> {
  const dir = join(await scratchFolder(), 'data');
  const storage = open(dir, keys);
  for (const key of KEYS)
    await storage.save(key, key[0] === 'doc' && key[1] !== 'sync-state' ? change : Buffer.from(secret));
  await close(storage);
  return dir;
}

/** Every file with its bytes. */
async function contents(dir: string): Promise<Map<string, string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(files.map(async (path) => [path, (await readFile(path)).toString('hex')] as const)),
  );
}

async function loadedFrom(dir: string, keys: Keyring): Promise<{ found: number; events: StorageEvent[] }> {
  const events: StorageEvent[] = [];
  const storage = open(dir, keys, (event) => events.push(event));
  const found = (await storage.loadRange([])).length;
  await storage.settled();
  await close(storage);
  return { found, events };
}

const fileOf = async (dir: string, part: string): Promise<string> =>
  [...(await contents(dir)).keys()].find((path) => path.includes(part)) ?? '';

describe('a sealed chunk', () => {
  const at = ['doc', 'value', 'x'];

  it('is opened by its key, for its place, and by nothing else', () => {
    const bytes = seal(ONE, at, Buffer.from(secret));
    expect(Buffer.from(unseal(ONE, at, bytes) ?? []).toString()).toBe(secret);
    expect(Buffer.from(bytes).includes(secret)).toBe(false);
    expect(unseal(TWO, at, bytes)).toBeUndefined();
    expect(sealedWith(bytes)).toBe(ONE.id);
    expect(sealedWith(Buffer.from(secret))).toBeUndefined();
    expect(Buffer.from(seal(ONE, at, Buffer.from(secret))).equals(bytes)).toBe(false);
  });

  it('S-bound: does not open in the place of another', () => {
    const bytes = seal(ONE, at, Buffer.from(secret));
    for (const other of [
      ['doc', 'value', 'y'],
      ['doc', 'valuex'],
      ['doc', 'value'],
      ['docvalue', 'x'],
    ]) {
      expect(unseal(ONE, other, bytes), other.join('/')).toBeUndefined();
    }
  });

  it('does not open with any bit changed, nor cut anywhere, and never names another key then', () => {
    const bytes = Buffer.from(seal(ONE, at, Buffer.from(secret)));
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect([undefined, ONE.id], `bit ${bit}`).toContain(sealedWith(changed));
      expect(unseal(ONE, at, changed), `bit ${bit}`).toBeUndefined();
    }
    for (let length = 0; length < bytes.length; length += 1) {
      expect(unseal(ONE, at, bytes.subarray(0, length))).toBeUndefined();
    }
  });

  it('has a key of 32 bytes in base64url, and of nothing else', () => {
    for (const wrong of ['', 'short', 'a'.repeat(44), `${'a'.repeat(42)}+`, 'ä'.repeat(43)]) {
      expect(sealingKey(wrong), wrong).toBeUndefined();
    }
    expect(sealingKey(newSealingKey())?.id).toMatch(/^[0-9a-f]{16}$/);
  });
});

describe('an encrypted folder', () => {
  it('gives back what was saved, and holds none of it in plain', async () => {
    const dir = await filled({ current: ONE });
    expect(await loadedFrom(dir, { current: ONE })).toEqual({ found: KEYS.length, events: [] });
    for (const [path, hex] of await contents(dir)) {
      expect(hex, path).not.toContain(Buffer.from(secret).toString('hex'));
      expect(hex, path).not.toContain(Buffer.from([0x85, 0x6f, 0x4a, 0x83]).toString('hex'));
    }
    // No more files than a plain one but its record, which has a checksum too.
    expect((await contents(dir)).size).toBe((await contents(await filled({}))).size + 2);
  });

  const misfits: [string, Keyring, Keyring, string][] = [
    ['another key', { current: ONE }, { current: TWO }, 'wrong-key'],
    ['no key', { current: ONE }, {}, 'missing-key'],
    ['the earlier key alone', { current: ONE }, { previous: ONE }, 'missing-key'],
    ['a key for a plain folder', {}, { current: ONE }, 'not-encrypted'],
    ['both keys, and it was never changed', { current: ONE }, { current: TWO, previous: ONE }, 'wrong-key'],
  ];
  for (const [what, before, given, why] of misfits) {
    it(`S-misfit: with ${what} says so, and neither writes nor moves anything`, async () => {
      for (const isRecordLost of [false, true]) {
        const dir = await filled(before);
        if (isRecordLost)
          for (const path of (await contents(dir)).keys())
            if (path.includes('encryption')) await unlink(path);
        const files = await contents(dir);
        const storage = open(dir, given);
        await expect(storage.open()).rejects.toMatchObject({ code: 'storage-key', why });
        await expect(storage.loadRange(['doc'])).rejects.toMatchObject({ code: 'storage-key' });
        void storage.save(['doc', 'sync-state', 'peer'], Buffer.from('new'));
        void storage.remove(incremental);
        await storage.close(AbortSignal.timeout(300));
        expect(await contents(dir)).toEqual(files);
        expect((await loadedFrom(dir, before)).events).toEqual([]);
      }
    });
  }

  it('goes on when its record is lost or damaged', async () => {
    const dir = await filled({ current: ONE });
    const record = await fileOf(dir, 'un/derstudy-encryption');
    await unlink(record);
    expect(await loadedFrom(dir, { current: ONE })).toEqual({ found: KEYS.length, events: [] });
    await writeFile(record, '{"version":1,');
    await expect(open(dir, { current: TWO }).open()).rejects.toMatchObject({ why: 'wrong-key' });
    expect(await loadedFrom(dir, { current: ONE })).toEqual({ found: KEYS.length, events: [] });
    expect(JSON.parse(await readFile(record, 'utf8'))).toEqual({
      version: 1,
      writes: ONE.id,
      reads: [ONE.id],
    });
  });

  it('takes a chunk that was put in the place of another for damage', async () => {
    const dir = await filled({ current: ONE });
    const [peer, other] = [
      await fileOf(dir, 'sync-state/peer'),
      join(dir, 'ot', 'her', 'sync-state', 'peer'),
    ];
    await mkdir(dirname(other), { recursive: true });
    await rename(peer, other);
    const { found, events } = await loadedFrom(dir, { current: ONE });
    expect(found).toBe(KEYS.length - 1);
    expect(events).toMatchObject([{ type: 'state:recovered', key: ['other', 'sync-state', 'peer'] }]);
  });

  it('takes a plain chunk that somebody put there for damage', async () => {
    const dir = await filled({ current: ONE });
    const plain = await filled({});
    await writeFile(await fileOf(dir, '/incremental/'), await readFile(await fileOf(plain, '/incremental/')));
    const { found, events } = await loadedFrom(dir, { current: ONE });
    expect(found).toBe(KEYS.length - 1);
    expect(events).toMatchObject([
      { key: incremental, reason: expect.stringContaining('not encrypted') as string },
    ]);
  });

  it('S-foreign: leaves a chunk of another key where it is, whichever way it came', async () => {
    const dir = await filled({ current: ONE });
    const foreign = await filled({ current: TWO });
    const path = await fileOf(dir, '/incremental/');
    const bytes = await readFile(await fileOf(foreign, '/incremental/'));
    await writeFile(path, bytes);
    const storage = open(dir, { current: ONE });
    await expect(storage.loadRange(['doc'])).rejects.toMatchObject({ code: 'storage-key' });
    expect(await storage.load(['doc', 'sync-state', 'peer'])).toBeDefined();
    await close(storage);
    expect((await readFile(path)).equals(bytes)).toBe(true);
    expect((await readdir(dir)).includes('quarantine')).toBe(false);
  });

  it('finds every damaged bit of a chunk, and never blames the key', async () => {
    const dir = await filled({ current: ONE });
    const path = await fileOf(dir, '/incremental/');
    const bytes = await readFile(path);
    for (let at = 0; at < bytes.length; at += 7) {
      const spoilt = Buffer.from(bytes);
      spoilt.writeUInt8(spoilt.readUInt8(at) ^ 4, at);
      await writeFile(path, spoilt);
      const { found, events } = await loadedFrom(dir, { current: ONE });
      expect([found, events.length], `byte ${at}`).toEqual([KEYS.length - 1, 1]);
    }
  });
});
