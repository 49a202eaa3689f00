import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Ajv, type AnySchemaObject } from 'ajv';
import { describe, expect, test } from 'vitest';
import { everySetting } from '../../src/cli/config/settings.js';
import { SYNAPSE_VERSION } from '../../src/dev/install.js';
import { composeText, ownServices, readCompose, root, variables, type ComposeFile } from './file.js';
import { persistent } from './persistent.js';

const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');
const schemaText = read('test/schemas/compose-spec/compose-spec.json');
// It names its own dialect by an https URL, under which the validator does not know it.
const { $schema: _dialect, ...schema } = JSON.parse(schemaText) as AnySchemaObject;
const isCompose = new Ajv({ strict: false, allErrors: true, allowUnionTypes: true }).compile(schema);

const file = readCompose();
const own = ownServices(file);
const lasting = own.filter(([, { restart }]) => restart === 'unless-stopped');

/** Settings whose value is a secret, in whoever's words. */
const secretName = /PASSWORD|TOKEN|SECRET|_KEY|CLUSTER_ID|DATABASE_URL|secret|password|macaroon/;

describe('docker-compose.yml', () => {
  test('is valid by the schema of the Compose Specification, which refuses a broken one', () => {
    expect(isCompose(file) ? [] : isCompose.errors).toEqual([]);
    const broken = readCompose() as ComposeFile & { services: { relay: object } };
    Object.assign(broken.services.relay, { healthchek: {} });
    expect(isCompose(broken)).toBe(false);
  });

  test('the schema is the one that its README names', () => {
    const sum = createHash('sha256').update(schemaText).digest('hex');
    expect(read('test/schemas/compose-spec/README.md')).toContain(sum);
    expect(read('test/schemas/compose-spec/LICENSE')).toContain('Apache License');
  });

  test('holds no secret: each is read from a file of the volume `secrets`, or left to .env', () => {
    for (const [name, service] of Object.entries(file.services)) {
      for (const [setting, value] of Object.entries(service.environment ?? {})) {
        if (!secretName.test(setting)) continue;
        const fromFile = setting.endsWith('_FILE') && /^\/run\/understudy\/[\w-]+$/.test(String(value));
        expect(fromFile || value === null || value === '', `${name}: ${setting}`).toBe(true);
      }
    }
    for (const line of (file.configs['synapse']?.content ?? '').split('\n')) {
      const [key = '', value = ''] = line.split(/: (.*)/);
      if (secretName.test(key)) expect(`${key} ${value}`).toMatch(/_path \/run\/understudy\/[\w-]+$/);
    }
    // Nothing that could be one: no long run of letters and digits that is neither a path nor a name with words.
    expect(composeText.match(/[A-Za-z0-9+]{24,}/g)).toBeNull();
  });

  test('.env.example sets nothing, and names every variable with its fallback', () => {
    const lines = read('.env.example').split('\n');
    expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([]);
    const named = new Map(
      lines.flatMap((line) => {
        const [, name, value] = /^#(\w+)=(.*)$/.exec(line) ?? [];
        return name === undefined ? [] : [[name, value]];
      }),
    );
    const asked = variables();
    expect([...named.keys()].toSorted()).toEqual([...asked.keys()].toSorted());
    for (const [name, fallback] of asked) {
      // Where the fallback is nothing, the example may show what could stand there.
      if (fallback !== '' && !secretName.test(name))
        expect(`${name}=${named.get(name)}`).toBe(`${name}=${fallback}`);
    }
  });

  test('gives our processes only settings that they know', () => {
    const secrets = everySetting.filter(({ secret }) => secret).map(({ name }) => `${name}_FILE`);
    const known = new Set([...everySetting.map(({ name }) => name), ...secrets, 'DEBUG']);
    for (const [name, { environment = {} }] of own) {
      for (const setting of Object.keys(environment)) expect(known, name).toContain(setting);
    }
  });

  test('runs the processes that it should, each with a health check, restarts and time to end', () => {
    expect(lasting.map(([name]) => name)).toEqual(['platform', 'relay', 'replica-1', 'replica-2']);
    for (const [name, service] of Object.entries(file.services)) {
      if (service.restart !== 'unless-stopped') continue;
      expect(service.healthcheck?.test?.[0], name).toBe('CMD');
      expect(parseInt(service.stop_grace_period ?? ''), name).toBeGreaterThanOrEqual(15);
    }
    for (const [, { environment, hostname }] of lasting.filter(([name]) => name.startsWith('replica'))) {
      expect(hostname).toBe(environment?.['UNDERSTUDY_REPLICA_ID']);
    }
  });

  test('whatever runs once is waited for, so that `up --wait` knows an end from a failure', () => {
    const awaited = Object.values(file.services).flatMap(({ depends_on: on = {} }) =>
      Object.entries(on).map(([name, { condition }]) => [name, condition] as const),
    );
    for (const [name, { restart, profiles }] of Object.entries(file.services)) {
      if (profiles) continue;
      const conditions = new Set(
        awaited.filter(([other]) => other === name).map(([, condition]) => condition),
      );
      const wanted = restart === 'no' ? 'service_completed_successfully' : 'service_healthy';
      expect(
        [...conditions].filter((condition) => condition !== wanted),
        name,
      ).toEqual([]);
      if (restart === 'no') expect(conditions.size, name).toBe(1);
    }
  });

  test('is reached from this machine only', () => {
    for (const { ports = [] } of Object.values(file.services))
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  test('a replica can lose the homeserver, the relay or the platform, each by a network of its own', () => {
    const networks = (name: string) => file.services[name]?.networks ?? [];
    for (const replica of ['replica-1', 'replica-2']) {
      for (const other of ['synapse', 'relay', 'platform']) {
        const shared = networks(replica).filter((network) => networks(other).includes(network));
        expect(shared, `${replica} and ${other}`).toHaveLength(1);
      }
    }
    expect(Object.keys(file.networks).toSorted()).toEqual(
      [...new Set(Object.keys(file.services).flatMap(networks))].toSorted(),
    );
  });

  test('keeps exactly what must persist in named volumes, and the pages about it say the same', () => {
    const writers: typeof persistent = {};
    for (const [name, { volumes = [] }] of Object.entries(file.services)) {
      for (const mount of volumes) {
        const [volume = '', at = '', mode] = mount.split(':');
        if (mode === 'ro') continue;
        const known = (writers[volume] ??= { at, of: [] });
        expect(at).toBe(known.at);
        known.of.push(name);
      }
    }
    expect(writers).toEqual(persistent);
    expect(Object.keys(file.volumes).toSorted()).toEqual(Object.keys(persistent).toSorted());
    for (const page of ['STATE.md', 'README.md']) {
      for (const volume of Object.keys(persistent)) expect(read(page), page).toContain(`\`${volume}\``);
    }
  });

  test('runs the release of Synapse that `npm start` installs', () => {
    expect(file.services['synapse']?.image).toBe(`matrixdotorg/synapse:v${SYNAPSE_VERSION}`);
  });
});

test('the image is built from the lock file and runs as an unprivileged user', () => {
  const steps = read('Dockerfile').split('\n');
  expect(steps).toContain('RUN npm ci --ignore-scripts');
  expect(steps.findLast((step) => step.startsWith('USER '))).toBe('USER node');
  const base = steps.find((step) => step.startsWith('ARG NODE_IMAGE='));
  expect(base).toBe(`ARG NODE_IMAGE=${variables().get('NODE_IMAGE')}`);
});
