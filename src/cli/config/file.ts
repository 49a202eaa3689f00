import { readFileSync } from 'node:fs';
import { YAMLParseError, parse } from 'yaml';
import { z } from 'zod';
import { wrongSetting } from '../user-error.js';
import { everySetting, yamlKey } from './settings.js';

const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const content = z.record(
  z.string(),
  z.union([scalar, z.array(scalar).transform((list) => list.join(','))]).nullable(),
);

/**
 * The settings of understudy.yaml, by their key there. Without `path` the file in the current folder, when there
 * is one. Rejects with a settings error that names file and key.
 */
export function readSettingsFile(path: string | undefined): { path: string; values: Map<string, string> } {
  const file = path ?? 'understudy.yaml';
  const values = new Map<string, string>();
  for (const [key, value] of Object.entries(parsed(file, path !== undefined))) {
    if (value !== null) values.set(known(file, key), value);
  }
  return { path: file, values };
}

function parsed(file: string, mustExist: boolean): z.infer<typeof content> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !mustExist) return {};
    throw wrongSetting(
      `${file} cannot be read (${code}): it is what --config or UNDERSTUDY_CONFIG names`,
      error,
    );
  }
  try {
    return content.parse((parse(text) as unknown) ?? {});
  } catch (error) {
    if (error instanceof YAMLParseError) {
      const line = error.linePos?.[0].line;
      throw wrongSetting(
        `${file} is not YAML${line === undefined ? '' : `, at line ${line}`} (${error.code})`,
        error,
      );
    }
    if (error instanceof z.ZodError) {
      const key = error.issues[0]?.path[0];
      throw wrongSetting(
        key === undefined
          ? `${file} must be a list of settings, one "key: value" a line`
          : `${file}: ${String(key)} must be a text, a number or a list of texts`,
        error,
      );
    }
    throw error;
  }
}

function known(file: string, key: string): string {
  const keys = everySetting.flatMap((setting) =>
    setting.secret ? [yamlKey(setting), `${yamlKey(setting)}_file`] : [yamlKey(setting)],
  );
  if (keys.includes(key)) return key;
  throw wrongSetting(`${file}: there is no setting ${JSON.stringify(key)}; there are ${keys.join(', ')}`);
}
