import type { InstanceState, Key, Plan } from '../instance/types.ts';
import type { World } from './world.ts';

/** How many keys one poll takes at most; what is left is found by the next. */
const PAGE = 500;

/** One poll: two calls to Odoo and none to Docker, however large the fleet. @returns the keys of work to do. */
export async function poll(world: Pick<World, 'manager'>): Promise<Key[]> {
  const [invoices, instances] = await Promise.all([
    world.manager.unclaimed(PAGE),
    world.manager.due(PAGE),
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
  /** Ids on containers of this install that Odoo does not know. Nothing touches them. */
  readonly orphans: number[];
  /** What Odoo believes of every instance. */
  readonly states: ReadonlyMap<number, InstanceState>;
}

/** Compares what Odoo believes of every instance with what Docker runs: finds what every event has missed. */
export async function sweep(world: Pick<World, 'manager' | 'engine'>): Promise<SweepResult> {
  // Containers first: one that appears between the two questions must not look like an orphan.
  const containers = await world.engine.list();
  const [states, plans] = await Promise.all([world.manager.states(), world.manager.plans([])]);
  const keys: Key[] = [];
  for (const [id, state] of states)
    if (disagrees(state, containers.get(id)?.running ?? false)) keys.push(`instance:${id}`);
  const orphans = [...containers.keys()].filter((id) => !states.has(id));
  return { keys, plans, orphans, states };
}

function disagrees(state: InstanceState, running: boolean): boolean {
  if (state === 'running') return !running;
  return running && (state === 'stopped' || state === 'draft' || state === 'removed');
}
