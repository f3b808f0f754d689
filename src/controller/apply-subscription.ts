import { decideSubscription } from '../billing/subscription.ts';
import type { Stage, SubscriptionChange } from '../billing/subscription-types.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { ControllerContext } from './controller-context.ts';
import { logLine } from './progress.ts';

/** What has become of a subscription at one look. */
export interface AppliedSubscription {
  /** The manager's records have changed: the instance must be looked at again. */
  readonly isWritten: boolean;
  /** The stage that was taken; `archive` is still to be, and `change` is written with it. */
  readonly stage: Stage | null;
  readonly change: SubscriptionChange;
  /** When there is something to do again without anybody's doing; null: never. */
  readonly reviewAt: Date | null;
}

/** How soon it is looked again for a certain day, or for people's word that so many may go down, in milliseconds. */
const HELD_FOR = 10 * 60_000;

/**
 * Brings the records of a subscription in line with time and money, before anything is done to its instance.
 * @param mayDescend false: this look has taken its stage already, another one waits for the next look
 */
export async function applySubscription(
  desired: DesiredInstance,
  context: ControllerContext,
  mayDescend: boolean,
): Promise<AppliedSubscription> {
  const { suspensionLimiter, clockGuard, now } = context;
  const { subscription } = desired;
  const inOrder = { isWritten: false, stage: null, change: {}, reviewAt: null };
  if (subscription === null) return inOrder;
  const isDayCertain = clockGuard.isDayCertain(desired.managerTime);
  const view = { now: now(), isRunning: false, isDayCertain };
  const { change, stage, ...verdict } = decideSubscription(desired, subscription, view);
  const soon = new Date(now().getTime() + HELD_FOR);
  const reviewAt = isDayCertain ? verdict.reviewAt : soon;
  // A manager's database that is older than the host may not know of the payment.
  if (stage !== null && !(await context.managerCheck.isTrusted()))
    return { ...inOrder, reviewAt: soon };
  if (stage !== null && !mayDescend) return { ...inOrder, reviewAt: now() };
  if (stage === 'archive') return { isWritten: false, stage, change: change ?? {}, reviewAt };
  if (change === null) return { ...inOrder, reviewAt };

  const write = () => report(desired, change, stage, context);
  if (stage === 'suspend' || stage === 'remove') {
    if (!(await suspensionLimiter.pass(desired.id, write))) return { ...inOrder, reviewAt: soon };
  } else await write();
  return { isWritten: true, stage, change, reviewAt };
}

async function report(
  { id, name, revision }: DesiredInstance,
  subscription: SubscriptionChange,
  stage: Exclude<Stage, 'archive'> | null,
  { log, now, reporter }: ControllerContext,
): Promise<void> {
  const note = stage === null ? {} : { log: [logLine(now(), RUNG_NOTE[stage])] };
  await reporter.report({ id, revision, subscription, ...note });
  log.info({ instance: id, name, stage, changed: Object.keys(subscription) }, 'subscription');
}

const RUNG_NOTE: Record<Exclude<Stage, 'archive'>, string> = {
  suspend: 'The paid time is over: suspended.',
  finalNotice: 'The customer is told for the last time that the data will go.',
  remove: 'Retention is over: the data go.',
};
