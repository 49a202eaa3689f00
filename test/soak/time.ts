/** `npm run soak` takes the long way; `npm test` a look, so that the long way still goes. */
export const isSoak = process.env['UNDERSTUDY_SOAK'] === '1';

/** Until when a part goes on, by `performance.now()`: as many minutes as it is given, or in `npm test` so long. */
export function deadline(shortMs: number): number {
  const minutes = Number(process.env['UNDERSTUDY_SOAK_MINUTES'] ?? Infinity);
  return performance.now() + (isSoak ? minutes * 60_000 : shortMs);
}

const said = new Map<string, number>();
/** How often a figure is said while it grows, milliseconds. */
const EVERY_MS = 5_000;

/** A line of the report, which the next one of that name replaces; `now` or every few seconds. */
export function say(what: string, figures: Record<string, number | string>, now = false): void {
  if (!now && performance.now() - (said.get(what) ?? -Infinity) < EVERY_MS) return;
  said.set(what, performance.now());
  const text = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
  if (isSoak) process.stdout.write(`soak: ${what}: ${text.join(', ')}\n`);
}
