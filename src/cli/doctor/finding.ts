import { codes, severities, type Code, type Layer, type Severity } from './codes.js';

/** One thing that was seen, in a sentence with figures, and what to do about it. Never with a secret in it. */
export interface Finding {
  code: Code;
  layer: Layer;
  severity: Severity;
  seen: string;
  /** Missing where nothing is to be done. */
  todo?: string;
}

/** `layer`: where one that several layers may find was found. */
export function finding(code: Code, seen: string, todo?: string, layer: Layer = codes[code].layer): Finding {
  return { code, layer, severity: codes[code].severity, seen, ...(todo !== undefined && { todo }) };
}

export const rank = ({ severity }: Pick<Finding, 'severity'>): number => severities.indexOf(severity);

/** Whether it makes the command fail. */
export const isTrouble = (one: Finding): boolean => rank(one) >= severities.indexOf('warning');

/** A few of many, for a sentence. */
export function some(list: readonly string[], most = 3): string {
  const shown = list.slice(0, most).join(', ');
  return list.length > most ? `${shown} and ${list.length - most} more` : shown;
}

export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`;

/** As `3 s`, `5 min`, `2 h`, `9 d`. */
export function timeText(ms: number): string {
  const s = Math.abs(ms) / 1000;
  if (s < 1) return `${Math.round(Math.abs(ms))} ms`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 48 * 3600 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} d`;
}
