import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';

/** Ids under which the files stand, so that a `$ref` from one to another resolves as it does on disk. */
const BASE = 'https://schemas.invalid/';

/**
 * Event schemas as the Matrix specification publishes them (`data/event-schemas/schema` of its sources), read from a folder:
 * YAML that refers to other YAML. What a type's `content` is held to is the `content` of its schema.
 */
export class PublishedSchemas {
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: false, logger: false });
  readonly #known = new Set<string>();
  readonly #compiled = new Map<string, ValidateFunction>();

  constructor(folder: string) {
    for (const path of yamlFiles(folder)) {
      const name = relative(folder, path);
      this.#ajv.addSchema(parse(readFileSync(path, 'utf8')) as object, idOf(name));
      this.#known.add(name);
    }
  }

  get size(): number {
    return this.#known.size;
  }

  /** What is wrong with an event's content; undefined where nothing is published of its type. */
  problems(type: string, content: unknown): string[] | undefined {
    const validate = this.#of(type, content);
    if (validate === undefined) return undefined;
    if (validate(content)) return [];
    const [error] = validate.errors ?? [];
    return [`${type}: not as published: ${error?.instancePath ?? ''} ${error?.message ?? ''}`];
  }

  #of(type: string, content: unknown): ValidateFunction | undefined {
    const kind = (content as { msgtype?: unknown } | null)?.msgtype;
    const name = [`${type}$${String(kind)}.yaml`, `${type}.yaml`].find((one) => this.#known.has(one));
    if (name === undefined) return undefined;
    const known = this.#compiled.get(name);
    if (known !== undefined) return known;
    const compiled = this.#ajv.compile({ $ref: `${idOf(name)}#/properties/content` });
    this.#compiled.set(name, compiled);
    return compiled;
  }
}

const idOf = (name: string) => BASE + name.split('/').map(encodeURIComponent).join('/');

function yamlFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.yaml'))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Those in the folder that `UNDERSTUDY_MATRIX_SCHEMAS` names; none where it names none. */
export function publishedSchemas(): PublishedSchemas | undefined {
  const folder = process.env['UNDERSTUDY_MATRIX_SCHEMAS'];
  if (folder === undefined || folder === '') return undefined;
  if (!existsSync(join(folder, 'm.room.message.yaml')))
    throw new Error(`UNDERSTUDY_MATRIX_SCHEMAS: ${folder} has no m.room.message.yaml`);
  return new PublishedSchemas(folder);
}
