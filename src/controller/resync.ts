import type { InstanceState, Key, Plan } from '../instance/types.ts';
import type { Listed } from '../interfaces.ts';
import type { ControllerContext } from './controller-context.ts';

/** How many keys one poll takes at most; what is left is found by the next. */
const PAGE = 500;

/** One poll: two calls to Odoo and none to Docker, however large the fleet. @returns the keys of work to do. */
export async function poll(context: Pick<ControllerContext, 'manager'>): Promise<Key[]> {
  const [invoices, instances] = await Promise.all([
    context.manager.unclaimed(PAGE),
    context.manager.due(PAGE),
  ]);
  return [
    ...invoices.map((id): Key => `invoice:${id}`),
    ...instances.map((id): Key => `instance:${id}`),
  ];
}

export interface SweepResult {
  /** Instances whose containers and whose record in Odoo disagree. */
  readonly keys: Key[];
  /** All plans: their template databases may have been dropped, or their image replaced. */
  readonly plans: readonly Plan[];
  /** What Odoo believes to be running, or in an error, and has containers up: to be looked at. */
  readonly watched: ReadonlyMap<number, { readonly listed: Listed; readonly state: InstanceState }>;
  /** Ids on containers of this install that Odoo does not know. Nothing touches them. */
  readonly orphans: number[];
  /** What Odoo believes of every instance. */
  readonly states: ReadonlyMap<number, InstanceState>;
}

/** Compares what Odoo believes of every instance with what Docker runs: finds what every event has missed. */
export async function sweep(
  context: Pick<ControllerContext, 'manager' | 'engine'>,
): Promise<SweepResult> {
  // Containers first: one that appears between the two questions must not look like an orphan.
  const containers = await context.engine.list();
  const [states, plans] = await Promise.all([context.manager.states(), context.manager.plans([])]);
  const keys: Key[] = [];
  const watched = new Map<number, { listed: Listed; state: InstanceState }>();
  for (const [id, state] of states) {
    const listed = containers.get(id);
    if (disagrees(state, listed)) keys.push(`instance:${id}`);
    else if (listed?.running && (state === 'running' || state === 'error'))
      watched.set(id, { listed, state });
  }
  const orphans = [...containers.keys()].filter((id) => !states.has(id));
  return { keys, plans, watched, orphans, states };
}

function disagrees(state: InstanceState, containers: Listed | undefined): boolean {
  if (state === 'running') return !containers?.running;
  return (
    containers?.up === true && (state === 'stopped' || state === 'draft' || state === 'removed')
  );
}

/** Running instances whose database on the shared server is not there any more. */
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
