/** The middle value; of an even number of values the mean of the two in the middle. @throws RangeError of none */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** @param q 0 … 1; values in between are interpolated. @throws RangeError of none */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * q;
  const below = sorted[Math.floor(position)];
  const above = sorted[Math.ceil(position)];
  if (below === undefined || above === undefined) throw new RangeError('no values');
  return below + (above - below) * (position - Math.floor(position));
}

const RESAMPLES = 10_000;

/** The 95 % bootstrap interval of the median. The same values give the same interval. */
export function medianInterval(values: readonly number[]): [low: number, high: number] {
  const random = linearCongruential(values.length);
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)] as number)),
  );
  return [quantile(medians, 0.025), quantile(medians, 0.975)];
}

/** Numerical Recipes' generator: 0 ≤ x < 1, the same sequence for the same seed. */
function linearCongruential(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
