/** Children at once: on two processors, one boots while another is looked at. */
const AT_ONCE = 3;

/** Does something for 1 to n, some at once. */
export async function forEachUpTo(n: number, work: (number: number) => Promise<void>): Promise<void> {
  let next = 1;
  const worker = async () => {
    while (next <= n) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
