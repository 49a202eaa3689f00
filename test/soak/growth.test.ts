import fc from 'fast-check';
import { expect, it } from 'vitest';
import { growth, verdict, type Sample } from './growth.js';

const KB = 1024;
const HEAP = 60_000 * KB;
/** More than what two samples of a heap after a collection are apart. */
const NOISE = 400 * KB;

const samples = (count: number, every: number, figure: (x: number) => number): Sample[] =>
  Array.from({ length: count }, (_, n) => [n * every, figure(n * every)]);

const noisy = (every: number, each: number, noise: readonly number[]): Sample[] =>
  noise.map((of, n) => [n * every, HEAP + n * every * each + of * NOISE]);
const noise = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 12, maxLength: 40 });

it('tells the slope of a line, and that a level one is none', () => {
  expect(growth(samples(10, 100, (x) => HEAP + 20 * KB * x)).each).toBe(20 * KB);
  expect(growth(samples(10, 100, () => HEAP))).toEqual({ each: 0, low: 0, high: 0 });
});

it('a leak of 20 kB a prompt is red within 1,100 prompts, whatever the noise', () => {
  fc.assert(
    fc.property(noise, (of) => {
      expect(verdict(growth(noisy(100, 20 * KB, of)), 5 * KB)).toBe('grows');
    }),
  );
});

it('noise alone is never called growth of 10 kB a prompt', () => {
  fc.assert(
    fc.property(noise, (of) => {
      expect(verdict(growth(noisy(100, 0, of)), 10 * KB)).not.toBe('grows');
    }),
  );
});

it('a saw, as of documents that grow until they are cut, is level', () => {
  const saw = (x: number) => HEAP + (x % 300) * 2 * KB;
  expect(verdict(growth(samples(20, 100, saw)), 2 * KB)).toBe('steady');
});

it('one sample far off moves nothing', () => {
  const level = samples(12, 100, (x) => HEAP + (x === 1100 ? 500 * NOISE : 0));
  expect(verdict(growth(level), 5 * KB)).toBe('steady');
});

it('with fewer than five samples nothing can be told', () => {
  expect(verdict(growth(samples(4, 100, () => HEAP)), KB)).toBe('unclear');
  expect(verdict(growth([]), KB)).toBe('unclear');
});
