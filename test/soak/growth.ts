/** A figure after so many of something. */
export type Sample = readonly [count: number, figure: number];

/** How a figure grows with a count: the slope, and the interval in which it is with 99 % certainty. */
export interface Growth {
  each: number;
  low: number;
  high: number;
}

/** Two-sided 99 % of the normal distribution. */
const Z = 2.576;

/**
 * The median of the slopes between all pairs of samples (Theil, 1950), which a few samples far off do not move, and
 * its interval by Kendall's rank statistic (Sen, 1968), which asks nothing of the noise but that it is the same early
 * and late. With fewer than five samples there is no such interval: it is unbounded.
 */
export function growth(samples: readonly Sample[]): Growth {
  const slopes = samples
    .flatMap(([x, y], n) => samples.slice(n + 1).map(([later, figure]) => (figure - y) / (later - x)))
    .toSorted((a, b) => a - b);
  const n = samples.length;
  const within = Z * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  const below = Math.floor((slopes.length - within) / 2) - 1;
  return {
    each: ((slopes[(slopes.length - 1) >> 1] ?? NaN) + (slopes[slopes.length >> 1] ?? NaN)) / 2,
    low: slopes[below] ?? -Infinity,
    high: slopes[slopes.length - 1 - below] ?? Infinity,
  };
}

/**
 * `grows`: certainly by more than `most` each; `steady`: certainly by less; `unclear`: the samples are too few or too
 * far apart to tell, and more are needed.
 */
export function verdict({ low, high }: Growth, most: number): 'grows' | 'steady' | 'unclear' {
  if (low > most) return 'grows';
  return high < most ? 'steady' : 'unclear';
}
