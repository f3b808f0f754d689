import type { Plan, Spare } from './types.ts';

/** What a started Odoo that nobody uses takes of the memory: 135 MB were measured with 90 modules (ADR 17). */
export const SPARE_MB = 150;

/** What is to be done so that the right spares are there. */
export interface SpareWork {
  /** Those that nobody is to get. */
  readonly remove: readonly Spare[];
  /** Those that are not ready yet. */
  readonly finish: readonly Spare[];
  /** For each of them one more is to be made, the most urgent first. A plan may be in it several times. */
  readonly make: readonly Plan[];
}

/**
 * Decides which spares are kept (ADR 17). Pure.
 * @param plans those of which there may be spares
 * @param budgetMb how much memory all spares may take
 */
export function planSpares(
  plans: readonly Plan[],
  spares: readonly Spare[],
  budgetMb: number,
): SpareWork {
  const wanted = shared(plans, Math.floor(budgetMb / SPARE_MB));
  const kept = new Set<Spare>();
  const left = wanted.filter(({ id }) => {
    const spare = spares
      .filter((it) => it.planId === id && it.isFresh && it.spareState !== 'leaving')
      .filter((it) => !kept.has(it))
      .sort(byReadiness)[0];
    if (spare) kept.add(spare);
    return !spare;
  });
  return {
    remove: spares.filter((spare) => !kept.has(spare)),
    finish: [...kept].filter(({ spareState }) => spareState === 'making'),
    make: left,
  };
}

/** One for each plan before any gets a second, each time the plan first that has sold most. @returns as many as there is room for */
function shared(plans: readonly Plan[], room: number): Plan[] {
  const bySales = [...plans].sort(
    (one, other) => other.recentSales - one.recentSales || one.id - other.id,
  );
  const most = Math.max(0, ...plans.map(({ spares }) => spares));
  const turns = Array.from({ length: Math.min(most, room) }, (_, turn) =>
    bySales.filter(({ spares }) => spares > turn),
  );
  return turns.flat().slice(0, room);
}

/** What is ready is not thrown away for what is not; else the older one stays. */
function byReadiness(one: Spare, other: Spare): number {
  const isReady = ({ spareState }: Spare) => Number(spareState === 'ready');
  return isReady(other) - isReady(one) || one.id - other.id;
}
