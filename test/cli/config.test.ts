import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SettingsReader, type Environment } from '../../src/cli/config/reader.js';
import { replicaSettings, isLoopback } from '../../src/cli/config/roles.js';
import * as setting from '../../src/cli/config/settings.js';
import { duration, size } from '../../src/cli/config/values.js';

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'understudy-config-'));
  file = join(dir, 'settings.yaml');
  writeFileSync(file, '');
});
afterEach(() => rmSync(dir, { recursive: true, force: true, maxRetries: 10 }));

const read = (env: Environment, flags: [string, string, string][] = []): SettingsReader =>
  new SettingsReader(env, new Map(flags.map(([name, flag, text]) => [name, { flag, text }])), file);

describe('settings', () => {
  it('flags go before the environment, the environment before the file, the file before the fallback', () => {
    expect(read({}).required(setting.lease)).toBe(3_000);
    writeFileSync(file, 'lease: 4s\n');
    expect(read({}).required(setting.lease)).toBe(4_000);
    expect(read({ UNDERSTUDY_LEASE: '5s' }).required(setting.lease)).toBe(5_000);
    const flag: [string, string, string] = ['UNDERSTUDY_LEASE', '--lease', '6s'];
    expect(read({ UNDERSTUDY_LEASE: '5s' }, [flag]).required(setting.lease)).toBe(6_000);
  });

  it('an empty text counts as absent', () => {
    writeFileSync(file, 'lease: 4s\nreplica_id:\n');
    expect(read({ UNDERSTUDY_LEASE: '' }).required(setting.lease)).toBe(4_000);
    expect(read({}).optional(setting.replicaId)).toBeUndefined();
  });

  it('the file takes lists, and numbers as texts', () => {
    writeFileSync(file, 'relay_urls: [ws://a:1, wss://b]\nshards: 8\n');
    expect(read({}).required(setting.relayUrls)).toEqual(['ws://a:1', 'wss://b']);
    expect(read({}).required(setting.shards)).toBe(8);
  });

  it('a secret may come from a file, without its last line end, and is told to the redactor', () => {
    const path = join(dir, 'secret');
    writeFileSync(path, 'token-from-a-file\n');
    const reader = read({ UNDERSTUDY_RELAY_TOKEN_FILE: path });
    expect(reader.required(setting.relayToken)).toBe('token-from-a-file');
    expect([...reader.secrets]).toEqual(['token-from-a-file']);
    writeFileSync(file, `relay_token_file: ${path}\n`);
    expect(read({}).required(setting.relayToken)).toBe('token-from-a-file');
  });

  it('patterns of ids are ids with stars; a list of none is refused, for it would allow everybody', () => {
    const allowed = (text: string) => read({ UNDERSTUDY_ALLOWED_USERS: text }).optional(setting.allowedUsers);
    expect(allowed('@alice:*, *:example.org')).toEqual(['@alice:*', '*:example.org']);
    expect(allowed('*')).toEqual(['*']);
    expect(allowed('')).toBeUndefined();
    expect(() => allowed(' , ')).toThrow('lists none');
    expect(() => allowed('example.org')).toThrow('has "example.org"');
    const rooms = (text: string) => read({ UNDERSTUDY_ALWAYS_ROOMS: text }).optional(setting.alwaysRooms);
    expect(rooms('!abc,!d:example.org')).toEqual(['!abc', '!d:example.org']);
    expect(() => rooms('#name:example.org')).toThrow('must list ids such as !abc:example.org');
  });

  it('keyed stores are made persistent by name, from a list in the file too', () => {
    writeFileSync(file, 'persistent_state: [threads, sent]\n');
    expect(read({}).required(setting.persistentState)).toEqual(['threads', 'sent']);
    const named = (text: string) =>
      read({ UNDERSTUDY_PERSISTENT_STATE: text }).required(setting.persistentState);
    expect(named('approvals,prompts')).toEqual(['prompts', 'approvals']);
    expect(() => named('sent,all')).toThrow('has "all"');
    writeFileSync(file, '');
    expect(read({}).required(setting.persistentState)).toEqual([]);
  });

  it('what is no secret has no _FILE twin', () => {
    expect(read({ UNDERSTUDY_LEASE_FILE: '/nowhere' }).required(setting.lease)).toBe(3_000);
  });

  it('a URL with a password in it is refused, and not repeated', () => {
    expect(() =>
      read({ MATRIX_HOMESERVER_URL: 'https://bot:hunter2@h' }).required(setting.homeserverUrl),
    ).toThrow(/^MATRIX_HOMESERVER_URL must not carry a user or password(?!.*hunter2)/);
  });

  it.each([
    ['600ms', 600],
    ['3s', 3_000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
  ])('%s is %i ms', (text, ms) => expect(duration.parse(text)).toBe(ms));

  it.each(['3', '0s', '-1s', 's', '1 week', '1e3s', '99999999d', ''])('%j is no length of time', (text) => {
    expect(duration.safeParse(text).success).toBe(false);
  });

  it.each([
    ['0', 0],
    ['512MB', 512e6],
    ['1.5 GiB', 1.5 * 2 ** 30],
    ['20kB', 20_000],
  ])('%s is %i bytes', (text, bytes) => expect(size.parse(text)).toBe(bytes));

  it.each(['512', '512mb', '-1MB', 'MB', '1e3MB', '99999999999TB', ''])('%j is no size', (text) => {
    expect(size.safeParse(text).success).toBe(false);
  });

  it('every setting has a fallback that its own schema takes', () => {
    for (const one of setting.everySetting) {
      if (one.fallback !== undefined) expect(one.schema.safeParse(one.fallback).success, one.name).toBe(true);
    }
    expect(new Set(setting.everySetting.map(setting.yamlKey)).size).toBe(setting.everySetting.length);
    expect(Object.values(setting).filter((one) => typeof one === 'object' && 'name' in one)).toHaveLength(
      setting.everySetting.length,
    );
  });

  it('a replica gets the relay token with every relay', () => {
    const settings = replicaSettings(
      read({
        MATRIX_HOMESERVER_URL: 'https://h/',
        MATRIX_USER: 'bot',
        MATRIX_PASSWORD: 'pw',
        UNDERSTUDY_CLUSTER_ID: 'c'.repeat(32),
        UNDERSTUDY_RELAY_URLS: 'ws://a:1, ws://b:2,',
        UNDERSTUDY_RELAY_TOKEN: 'token',
      }),
    );
    expect(settings).toMatchObject({
      homeserverUrl: 'https://h',
      credentials: { user: 'bot', password: 'pw' },
      relays: [
        { url: 'ws://a:1', token: 'token' },
        { url: 'ws://b:2', token: 'token' },
      ],
      leaseMs: 3_000,
    });
  });

  it('knows what is reachable from this machine only', () => {
    expect(['127.0.0.1', '127.1.2.3', '::1', 'localhost'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '127.0.0.1.example.org', '10.0.0.1', ''].some(isLoopback)).toBe(false);
  });
});
