import type { Say } from '../stack/progress.ts';
import type { BenchStack } from './bench-stack.ts';
import type { Result } from './figure.ts';

/** What a benchmark runs with. */
export interface BenchmarkContext {
  /** The manager stack, started when first used and shared by all benchmarks of a run. */
  readonly stack: () => Promise<BenchStack>;
  readonly say: Say;
  /** Pairs of one measurement of each way; undefined: the benchmark's own default. */
  readonly pairs: number | undefined;
}

/** One file of this folder. */
export interface Benchmark {
  readonly name: string;
  /** What it measures, for `--help`. */
  readonly about: string;
  readonly measure: (surroundings: BenchmarkContext) => Promise<Result>;
}
