const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A timer is a record that waits in the documents; ten years stand for "never". */
const LONGEST_MS = 3_650 * UNITS.d;

/** Milliseconds of `"250"`, `"250ms"`, `"5s"`, `"10m"`, `"2h"`, `"7d"`; undefined for no time, nothing and over ten years. */
export function delayMs(text: string): number | undefined {
  const [, digits, unit = 'ms'] = /^(\d{1,12})(ms|s|m|h|d)?$/u.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const ms = Number(digits) * UNITS[unit as keyof typeof UNITS];
  return ms >= 1 && ms <= LONGEST_MS ? ms : undefined;
}
