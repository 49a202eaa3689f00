/** The value below which a share of the samples lies (nearest rank); NaN of none. */
export function quantile(samples, share) {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** Median, least and greatest of one number per run. */
export function spread(values) {
  return {
    median: quantile(values, 0.5),
    min: Math.min(...values),
    max: Math.max(...values),
    runs: values,
  };
}

/** Latencies of one run, milliseconds. */
export function latencies(samples) {
  return { p50: quantile(samples, 0.5), p95: quantile(samples, 0.95), count: samples.length };
}
