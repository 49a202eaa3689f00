/** How often it is looked, milliseconds. */
const LOOK_MS = 50;

/**
 * Watches whether this process gets to run. Call what it gives to end that: it says for how long at most, milliseconds,
 * nothing ran here. What is measured over such a time is the machine's slowness, and nothing of the product's.
 */
export function watchStandstill(): () => number {
  let longest = 0;
  let last = performance.now();
  const look = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last - LOOK_MS);
    last = now;
  };
  const timer = setInterval(look, LOOK_MS);
  return () => {
    clearInterval(timer);
    look();
    return longest;
  };
}
