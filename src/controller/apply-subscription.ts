import { decideSubscription, type SubscriptionView } from '../billing/subscription.ts';
import type { Stage, Subscription, SubscriptionChange } from '../billing/subscription-types.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { ControllerContext } from './controller-context.ts';
import { logLine } from './progress.ts';

/** What has become of a subscription in one round of reconcile(). */
export interface AppliedSubscription {
  /** The manager's records have changed: the instance must be read again. */
  readonly isWritten: boolean;
  /** The stage that was taken; `archive` is still to be, and `change` is written with it. */
  readonly stage: Stage | null;
  readonly change: SubscriptionChange;
  /** When there is something to do again without anybody's doing; null: never. */
  readonly reviewAt: Date | null;
  /** What is to be written if the instance is found to answer for the first time; null: nothing. */
  readonly onFirstAnswer: {
    readonly change: SubscriptionChange;
    readonly reviewAt: Date | null;
  } | null;
}

/** How soon an uncertain day, or people's approval of so many suspensions, is asked about again, in milliseconds. */
const HELD_REVIEW_MS = 10 * 60_000;

/**
 * Brings the records of a subscription in line with time and money, before anything is done to its instance. The one place where
 * the loop has billing/ decide.
 * @param mayAdvance false: this run has taken its stage already, another one waits for the next
 */
export async function applySubscription(
  desired: DesiredInstance,
  context: ControllerContext,
  mayAdvance: boolean,
): Promise<AppliedSubscription> {
  const { suspensionLimiter, clockGuard, now } = context;
  const { subscription } = desired;
  const unchanged = { isWritten: false, stage: null, change: {}, reviewAt: null };
  if (subscription === null) return { ...unchanged, onFirstAnswer: null };
  const isDayCertain = clockGuard.isDayCertain(desired.managerTime);
  const view = { now: now(), isFirstAnswer: false, isDayCertain };
  const { change, stage, ...verdict } = decideSubscription(desired, subscription, view);
  const inOrder = { ...unchanged, onFirstAnswer: onFirstAnswer(desired, subscription, view) };
  const soon = new Date(now().getTime() + HELD_REVIEW_MS);
  const reviewAt = isDayCertain ? verdict.reviewAt : soon;
  // A manager's database that is older than the host may not know of the payment.
  if (stage !== null && !(await context.managerCheck.isTrusted()))
    return { ...inOrder, reviewAt: soon };
  if (stage !== null && !mayAdvance) return { ...inOrder, reviewAt: now() };
  if (stage === 'archive') return { ...inOrder, stage, change: change ?? {}, reviewAt };
  if (change === null) return { ...inOrder, reviewAt };

  const write = () => report(desired, change, stage, context);
  if (stage === 'suspend' || stage === 'remove') {
    if (!(await suspensionLimiter.run(desired.id, write))) return { ...inOrder, reviewAt: soon };
  } else await write();
  return { ...inOrder, isWritten: true, stage, change, reviewAt };
}

/** The subscription begins with the first answer, and only who can log in is welcomed. */
function onFirstAnswer(
  desired: DesiredInstance,
  subscription: Subscription,
  view: SubscriptionView,
): AppliedSubscription['onFirstAnswer'] {
  if (subscription.startDay && desired.wasReady) return null;
  const { change, reviewAt } = decideSubscription(desired, subscription, {
    ...view,
    isFirstAnswer: true,
  });
  return change && { change, reviewAt };
}

async function report(
  { id, name, revision }: DesiredInstance,
  subscription: SubscriptionChange,
  stage: Exclude<Stage, 'archive'> | null,
  { log, now, reporter }: ControllerContext,
): Promise<void> {
  const note = stage === null ? {} : { log: [logLine(now(), STAGE_NOTE[stage])] };
  await reporter.report({ id, revision, subscription, ...note });
  log.info({ instance: id, name, stage, changed: Object.keys(subscription) }, 'subscription');
}

const STAGE_NOTE: Record<Exclude<Stage, 'archive'>, string> = {
  suspend: 'The paid time is over: suspended.',
  finalNotice: 'The customer is told for the last time that the data will go.',
  remove: 'Retention is over: the data are being removed.',
};
