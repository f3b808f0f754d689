import { pbkdf2Sync } from 'node:crypto';
import { loadavg } from 'node:os';
import { run } from '../stack/run.ts';
import { median } from './statistics.ts';

/** One measurement of each way, one after the other. */
export interface Pair {
  /** Seconds. */
  readonly usual: number;
  readonly ours: number;
  /** Milliseconds for a fixed piece of work just before: how busy the machine was with something else. */
  readonly probeMs: number;
  readonly load: number;
  /** Dropped: the machine was busy with something else. */
  isDisturbed: boolean;
}

/** A pair counts unless the probe before it took this much longer than the median probe. */
const DISTURBED = 1.5;

/**
 * Measures two ways in turn: usual, ours, ours, usual, … so that a slow drift of the machine favours neither.
 * Pairs that began on a busy machine are marked, not left out of the report.
 */
export async function pairs(
  count: number,
  ways: { readonly usual: () => Promise<number>; readonly ours: () => Promise<number> },
  say: (line: string) => void,
): Promise<Pair[]> {
  const taken: Pair[] = [];
  for (let i = 0; i < count; i++) {
    const probeMs = probe();
    const [load = 0] = loadavg();
    const seconds = { usual: 0, ours: 0 };
    const order = i % 2 === 0 ? (['usual', 'ours'] as const) : (['ours', 'usual'] as const);
    for (const way of order) {
      // Unwritten data of the previous measurement must not delay this one.
      await run('sync', []);
      seconds[way] = await ways[way]();
    }
    taken.push({ ...seconds, probeMs, load, isDisturbed: false });
    say(
      `pair ${i + 1}/${count}: usual ${seconds.usual.toFixed(2)} s, ours ${seconds.ours.toFixed(2)} s (load ${load.toFixed(1)})`,
    );
  }
  const limit = DISTURBED * median(taken.map((pair) => pair.probeMs));
  for (const pair of taken) pair.isDisturbed = pair.probeMs > limit;
  return taken;
}

/** usual ÷ ours of the pairs that count. */
export function ratios(taken: readonly Pair[]): number[] {
  return taken.filter((pair) => !pair.isDisturbed).map(({ usual, ours }) => usual / ours);
}

/** Milliseconds for a fixed piece of work on one processor core. */
function probe(): number {
  const start = performance.now();
  pbkdf2Sync('probe', 'salt', 100_000, 64, 'sha512');
  return performance.now() - start;
}
