import { decideSubscription } from '../billing/subscription.ts';
import type { Rung, SubscriptionChange } from '../billing/subscription-types.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { World } from './controller-context.ts';
import { logLine } from './progress.ts';

/** What has become of a subscription at one look. */
export interface Books {
  /** The manager's records have changed: the instance must be looked at again. */
  readonly isWritten: boolean;
  /** The rung that was taken; `archive` is still to be, and `change` is written with it. */
  readonly rung: Rung | null;
  readonly change: SubscriptionChange;
  /** When there is something to do again without anybody's doing; null: never. */
  readonly reviewAt: Date | null;
}

/** How soon it is looked again for a certain day, or for people's word that so many may go down, in milliseconds. */
const HELD_FOR = 10 * 60_000;

/**
 * Brings the records of a subscription in line with time and money, before anything is done to its instance.
 * @param mayDescend false: this look has taken its rung already, another one waits for the next look
 */
export async function keepBooks(
  desired: DesiredInstance,
  world: World,
  mayDescend: boolean,
): Promise<Books> {
  const { brake, calendar, now } = world;
  const { subscription } = desired;
  const inOrder = { isWritten: false, rung: null, change: {}, reviewAt: null };
  if (subscription === null) return inOrder;
  const isDayCertain = calendar.isDayCertain(desired.managerTime);
  const view = { now: now(), isRunning: false, isDayCertain };
  const { change, rung, ...verdict } = decideSubscription(desired, subscription, view);
  const soon = new Date(now().getTime() + HELD_FOR);
  const reviewAt = isDayCertain ? verdict.reviewAt : soon;
  // A manager's database that is older than the host may not know of the payment.
  if (rung !== null && !(await world.managerCheck.isTrusted()))
    return { ...inOrder, reviewAt: soon };
  if (rung !== null && !mayDescend) return { ...inOrder, reviewAt: now() };
  if (rung === 'archive') return { isWritten: false, rung, change: change ?? {}, reviewAt };
  if (change === null) return { ...inOrder, reviewAt };

  const write = () => report(desired, change, rung, world);
  if (rung === 'suspend' || rung === 'remove') {
    if (!(await brake.pass(desired.id, write))) return { ...inOrder, reviewAt: soon };
  } else await write();
  return { isWritten: true, rung, change, reviewAt };
}

async function report(
  { id, name, revision }: DesiredInstance,
  subscription: SubscriptionChange,
  rung: Exclude<Rung, 'archive'> | null,
  { log, now, reporter }: World,
): Promise<void> {
  const note = rung === null ? {} : { log: [logLine(now(), RUNG_NOTE[rung])] };
  await reporter.report({ id, revision, subscription, ...note });
  log.info({ instance: id, name, rung, changed: Object.keys(subscription) }, 'subscription');
}

const RUNG_NOTE: Record<Exclude<Rung, 'archive'>, string> = {
  suspend: 'The paid time is over: suspended.',
  finalNotice: 'The customer is told for the last time that the data will go.',
  remove: 'Retention is over: the data go.',
};
