import { type Attention, isToSleep } from './sleep.ts';
import type { DesiredInstance, EffectiveState, Job, ObservedInstance, Step } from './types.ts';

/**
 * The product's policy: the next step for one instance, or null when it is as it should be. Pure.
 * No step trusts that the one before it worked, so this is also the whole of crash recovery.
 * @param state the effectiveState() of `desired`
 */
export function decide(
  desired: DesiredInstance,
  state: EffectiveState,
  seen: ObservedInstance,
): Step | null {
  const isUp = seen.containers !== 'none' && seen.containers !== 'stopped';

  if (state === 'draft') return null;
  const foreign = foreignPart(desired, seen);
  if (foreign)
    return { stall: 'ForeignData', because: `the ${foreign} is another's`, detail: foreign };
  if (desired.mayAdopt) return { do: 'adopt', because: 'made before there were marks' };
  // Before its data are looked at: a swap that was cut off has left parts of two.
  if (state !== 'purged' && isPrepared(desired, seen))
    return { do: 'swapData', because: 'other data wait to take the place of its own' };

  switch (state) {
    case 'running':
      if (desired.ports === null) return { do: 'assignPorts', because: 'no ports yet' };
      // Before anything is made: only the configuration may be made again.
      if (hadData(desired, seen) && seen.data !== 'whole')
        return { stall: 'FilesMissing', because: `its files existed and are ${seen.data}` };
      if (seen.checkouts !== 'current')
        return { do: 'fetchRepositories', because: `checkouts ${seen.checkouts}` };
      if (seen.files !== 'current') return { do: 'render', because: `files ${seen.files}` };
      if (seen.database === 'offline')
        return { do: 'startDatabase', because: `database ${seen.database}` };
      if (seen.database === 'absent') {
        if (desired.wasReady)
          return { stall: 'DatabaseMissing', because: 'its database existed and is gone' };
        // Making it has failed since: nothing should run in its place meanwhile.
        if (seen.containers === 'running' || seen.containers === 'outdated')
          return { do: 'stop', because: 'up without its database' };
        return { do: 'createDatabase', because: `database ${seen.database}` };
      }
      // Waiting for one that hangs takes minutes, and it is nobody's yet: it starts as its customer's.
      if (!seen.isHandedOver && seen.containers === 'running' && !seen.answering)
        return { do: 'stop', because: 'a spare that has been sold is silent' };
      // Whether it runs or not: an Odoo that starts reads what is there, one that runs is told.
      if (!seen.isHandedOver)
        return { do: 'handOver', because: 'a spare that has been sold is nobody’s still' };
      if (seen.containers !== 'running')
        return { do: 'start', because: `containers ${seen.containers}` };
      if (seen.hung) return { do: 'restart', because: 'silent for minutes' };
      if (!seen.answering) return { do: 'awaitAnswer', because: 'not answering yet' };
      if (seen.appsList === 'stale')
        return { do: 'updateAppsList', because: 'other repositories than its Apps list' };
      if (seen.limits === 'other')
        return { do: 'applyLimits', because: 'its plan gives other limits' };
      return null;

    case 'stopped':
      return isUp ? { do: 'stop', because: 'should be stopped' } : null;

    case 'asleep':
      return isUp ? { do: 'stop', because: 'nobody uses it' } : null;

    case 'removed':
      return seen.containers === 'none' ? null : { do: 'removeContainers', because: 'removed' };

    case 'suspended':
      return isUp ? { do: 'stop', because: 'suspended' } : null;

    case 'purged':
      return seen.containers === 'none' && seen.files === 'absent' && seen.database === 'absent'
        ? null
        : { do: 'purge', because: 'retention is over' };

    default:
      return state satisfies never;
  }
}

/** The data that somebody wants in place of its own are there, beside them. */
function isPrepared({ job }: DesiredInstance, { preparedJob }: ObservedInstance): boolean {
  return job !== null && replacesData(job) && preparedJob === job.identity;
}

const REPLACING: ReadonlySet<Job['kind']> = new Set<Job['kind']>([
  ...(['restore', 'undo_restore', 'update', 'undo_update'] as const),
]);

/** Whether a job puts other data in the place of an instance's. */
export function replacesData({ kind }: Job): boolean {
  return REPLACING.has(kind);
}

/** Whether its database may still be the spare's that it was: then it is to be asked. */
export function mayBeNobodys(
  { spare, wasReady }: DesiredInstance,
  database: ObservedInstance['database'],
): boolean {
  return spare === 'sold' && !wasReady && database === 'ready';
}

/** A database is there only once all that goes with it has been made. */
function hadData({ wasReady }: DesiredInstance, { database }: ObservedInstance): boolean {
  return wasReady || database === 'ready';
}

/**
 * What is here under the instance's number and is not its own, by the mark on it; null when there is nothing of the kind.
 * What has no mark may not be used, except what was made before there were marks.
 */
export function foreignPart(
  { mayAdopt }: Pick<DesiredInstance, 'mayAdopt'>,
  {
    containerOwner,
    database,
    directory,
  }: Pick<ObservedInstance, 'containerOwner' | 'database' | 'directory'>,
): 'directory' | 'database' | 'container' | null {
  const isForeign = (owner: string, mayBeUnmarked: boolean) =>
    owner === 'foreign' || (owner === 'unmarked' && !mayBeUnmarked);
  if (isForeign(directory, mayAdopt)) return 'directory';
  if (isForeign(database, mayAdopt)) return 'database';
  // Unmarked containers were made before there were marks: the mark of the directory decides.
  if (isForeign(containerOwner, mayAdopt || directory === 'own')) return 'container';
  return null;
}

/**
 * The desired state, unless the subscription suspends or purges the instance (billing/subscription.ts decides that), or it runs for
 * nobody.
 * @param attention null: whether it is used does not matter
 */
export function effectiveState(
  desired: DesiredInstance,
  attention: Attention | null,
): EffectiveState {
  const { desiredState, subscription } = desired;
  if (subscription?.dataRemovedAt) return 'purged';
  // Its data are another's: nothing of them is kept.
  if (desired.copyOf && desiredState === 'removed') return 'purged';
  if (desiredState !== 'running') return desiredState;
  if (subscription?.suspendedAt) return 'suspended';
  return isToSleep(desired, attention) ? 'asleep' : 'running';
}
