import { isProgress } from '../instance/reasons.ts';
import { isToSleep } from '../instance/sleep.ts';
import type { InstanceState, Key, KnownInstance, Plan, SweptInstance } from '../instance/types.ts';
import type { Listed } from '../interfaces.ts';
import type { ControllerContext } from './controller-context.ts';

/** How many keys one poll takes at most; the next poll finds the rest. */
const PAGE_SIZE = 500;

/** One poll: two calls to Odoo and none to Docker, however large the fleet. @returns the keys of pending work */
export async function poll(context: Pick<ControllerContext, 'manager'>): Promise<Key[]> {
  const [invoices, instances] = await Promise.all([
    context.manager.unclaimed(PAGE_SIZE),
    context.manager.due(PAGE_SIZE),
  ]);
  return [
    ...invoices.map((id): Key => `invoice:${id}`),
    ...instances.map((id): Key => `instance:${id}`),
  ];
}

export interface SweepResult {
  /** Instances whose containers and whose record in Odoo disagree, or of which Odoo says that a step is under way. */
  readonly keys: Key[];
  /** All plans: their template databases may have been dropped, or their image replaced. */
  readonly plans: readonly Plan[];
  /** Instances that are running or in error in Odoo and have running containers: to be probed. */
  readonly watched: ReadonlyMap<number, { readonly listed: Listed; readonly state: InstanceState }>;
  /** Instance ids of containers of this install that Odoo does not know. They are left alone. */
  readonly orphans: number[];
  /** The state of every instance in Odoo. */
  readonly states: ReadonlyMap<number, SweptInstance>;
}

/** Compares the state of every instance in Odoo with Docker's containers: finds what the events have missed. */
export async function sweep(
  context: Pick<ControllerContext, 'activity' | 'manager' | 'engine'>,
): Promise<SweepResult> {
  // Containers first: one that is created between the two calls must not look like an orphan.
  const containers = await context.engine.list();
  const [states, plans] = await Promise.all([context.manager.states(), context.manager.plans([])]);
  const keys: Key[] = [];
  const watched = new Map<number, { listed: Listed; state: InstanceState }>();
  for (const [id, known] of states) {
    const { state } = known;
    const listed = containers.get(id);
    const isAsleep = isToSleep(known, context.activity?.of(id) ?? null);
    const isAtOdds = disagrees(known, isAsleep, listed);
    // A step's sentence outlives a sidecar that ended meanwhile: nothing else would correct it before the next daily review.
    if (isAtOdds || isProgress(known.reason)) keys.push(`instance:${id}`);
    if (!isAtOdds && listed?.running && (state === 'running' || state === 'error'))
      watched.set(id, { listed, state });
  }
  const unknown = [...containers.keys()].filter((id) => !states.has(id));
  const spares = unknown.length > 0 ? await context.manager.spareNumbers() : new Set();
  const orphans = unknown.filter((id) => !spares.has(id));
  return { keys, plans, watched, orphans, states };
}

function disagrees(
  { state, isAsleep }: KnownInstance,
  isToSleep: boolean,
  containers: Listed | undefined,
): boolean {
  if (isToSleep) return !isAsleep || containers?.up === true;
  if (state === 'running') return !containers?.running;
  return (
    containers?.up === true && (state === 'stopped' || state === 'draft' || state === 'removed')
  );
}

/** Running instances whose database on the shared server has disappeared. */
export async function withoutDatabase(
  { databases }: Pick<ControllerContext, 'databases'>,
  watched: SweepResult['watched'],
): Promise<Key[]> {
  const present = await databases.list();
  return [...watched]
    .filter(
      ([id, { listed, state }]) =>
        state === 'running' && !listed.hasOwnDatabase && !present.has(id),
    )
    .map(([id]): Key => `instance:${id}`);
}
