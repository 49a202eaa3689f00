import { readFileSync } from 'node:fs';
import { wrongSetting } from '../user-error.js';
import { readSettingsFile } from './file.js';
import { yamlKey, type Setting } from './settings.js';

export type Environment = Record<string, string | undefined>;

/** A text and where it came from, in the words of a message. */
interface Found {
  text: string;
  source: string;
}

/**
 * Settings from flags, then the environment, then understudy.yaml, then their fallback. An empty text counts as
 * absent (that is how compose files pass what is not set). Every error is a `UserError` with exit code 2 whose
 * one line names the setting and where the wrong value stands.
 */
export class SettingsReader {
  /** The secrets that were read, for the log's redactor. */
  readonly secrets = new Set<string>();
  private readonly file: { path: string; values: Map<string, string> };

  /** `flags` by the names of settings; `configFile` is the flag --config. */
  constructor(
    private readonly env: Environment,
    private readonly flags: ReadonlyMap<string, { flag: string; text: string }> = new Map(),
    configFile?: string,
  ) {
    this.file = readSettingsFile(configFile ?? (env['UNDERSTUDY_CONFIG'] || undefined));
  }

  /** The setting's value, or undefined when nobody gave one and it has no fallback. */
  optional<T>(setting: Setting<T>): T | undefined {
    const found = this.find(setting);
    if (!found) return setting.fallback === undefined ? undefined : setting.schema.parse(setting.fallback);
    if (setting.secret) this.secrets.add(found.text);
    const parsed = setting.schema.safeParse(found.text);
    if (parsed.success) return parsed.data;
    throw wrongSetting(`${found.source} ${parsed.error.issues[0]?.message ?? 'is wrong'}`, parsed.error);
  }

  required<T>(setting: Setting<T>): T {
    const value = this.optional(setting);
    if (value !== undefined) return value;
    throw wrongSetting(`${setting.name} is missing${setting.missing ? `: ${setting.missing}` : ''}`);
  }

  /** Whether somebody gave it, apart from its fallback. */
  isGiven(setting: Setting<unknown>): boolean {
    return this.find(setting) !== undefined;
  }

  private find(setting: Setting<unknown>): Found | undefined {
    const flag = this.flags.get(setting.name);
    if (flag) return { text: flag.text, source: `${flag.flag} (${setting.name})` };
    return (
      this.findIn(setting, setting.name, 'the environment', (name) => this.env[name]) ??
      this.findIn(setting, yamlKey(setting), this.file.path, (key) => this.file.values.get(key.toLowerCase()))
    );
  }

  private findIn(
    setting: Setting<unknown>,
    name: string,
    place: string,
    get: (name: string) => string | undefined,
  ): Found | undefined {
    const label = name === setting.name ? name : `${setting.name} (${name} in ${place})`;
    const direct = get(name) || undefined;
    const fileName = `${name}_FILE`;
    const path = setting.secret ? get(fileName) || undefined : undefined;
    if (direct !== undefined && path !== undefined) {
      throw wrongSetting(`${name} and ${fileName} are both set in ${place}: keep one of them`);
    }
    if (path !== undefined)
      return { text: secretFrom(path, `${setting.name}_FILE`), source: `${label}, read from ${path},` };
    return direct === undefined ? undefined : { text: direct, source: label };
  }
}

function secretFrom(path: string, name: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw wrongSetting(`${name}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
  }
  if (text === '') throw wrongSetting(`${name}: ${path} is empty`);
  return text;
}
