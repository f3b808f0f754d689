import type { Say } from '../stack/progress.ts';
import type { BenchStack } from './bench-stack.ts';
import type { Result } from './figure.ts';

/** What a benchmark is given. */
export interface Surroundings {
  /** The manager stack, started when first asked for and shared by all of one run. */
  readonly stack: () => Promise<BenchStack>;
  readonly say: Say;
  /** Of ours and usual, one each; undefined: as many as the benchmark thinks right. */
  readonly pairs: number | undefined;
}

/** One file of this folder. */
export interface Benchmark {
  readonly name: string;
  /** What it measures, for `--help`. */
  readonly about: string;
  readonly measure: (surroundings: Surroundings) => Promise<Result>;
}
