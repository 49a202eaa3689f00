import { parseDocument } from 'yaml';
import { isJson, type Json } from '../../documents/json.js';
import type { Report } from './errors.js';
import { isInherited } from './names.js';

/** A machine with hundreds of states fits many times; more is no machine. */
export const MOST_BYTES = 256 * 1024;

/** The JSON of a machine file, or undefined when there is none; every fault of the text is reported. */
export function parseText(bytes: Uint8Array, report: Report): Json | undefined {
  if (bytes.length > MOST_BYTES) {
    report('unreadable', '', '', `is bigger than ${MOST_BYTES / 1024} KB`);
    return undefined;
  }
  let value: unknown;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error;
    report(
      'unreadable',
      '',
      '',
      error instanceof TypeError ? 'is not UTF-8' : `is not JSON: ${error.message}`,
    );
    return undefined;
  }
  if (!isJson(value)) {
    report('unreadable', '', '', 'is nested more than 32 levels deep, or holds a number beyond all bounds');
    return undefined;
  }
  const twice = reportDuplicateKeys(text, report);
  return reportInheritedKeys(value, [], report) || twice ? undefined : value;
}

/** JSON is YAML, whose parser sees both members where `JSON.parse` keeps the last and says nothing. */
function reportDuplicateKeys(text: string, report: Report): boolean {
  const { errors } = parseDocument(text, { uniqueKeys: true, stringKeys: true });
  const twice = errors.filter(({ code }) => code === 'DUPLICATE_KEY');
  for (const { linePos } of twice) {
    const [at] = linePos ?? [];
    report(
      'duplicate-key',
      '',
      '',
      `line ${at?.line}, column ${at?.col}: this key stands twice in one object`,
    );
  }
  return twice.length > 0;
}

function reportInheritedKeys(value: Json, path: readonly string[], report: Report): boolean {
  if (typeof value !== 'object' || value === null) return false;
  let found = false;
  for (const [key, inner] of Object.entries<Json>(value)) {
    const here = [...path, key];
    if (!Array.isArray(value) && isInherited(key)) {
      report('bad-name', '', here.join('.'), `"${key}" may not be used: every JavaScript object has one`);
      found = true;
    }
    found = reportInheritedKeys(inner, here, report) || found;
  }
  return found;
}
