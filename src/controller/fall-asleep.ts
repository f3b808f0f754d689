import { TenantDatabaseError } from '../errors.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { Activity } from './activity.ts';
import type { ControllerContext } from './controller-context.ts';
import { logLine } from './progress.ts';

/** How soon an instance is asked again that fetches mail, in milliseconds. */
const ASK_AGAIN_MS = 60 * 60_000;

/** Work that is due within this time is waited for: a sleep so short saves nothing. */
const SOON_MS = 10 * 60_000;

/** How long work may be overdue before an instance sleeps all the same: what its scheduler does not do awake needs no waking often. */
const OVERDUE_MS = 10 * 60_000;
const WAKE_FOR_OVERDUE_MS = 60 * 60_000;

/** Nothing sleeps longer, whatever its database says. */
const MAX_SLEEP_MS = 24 * 60 * 60_000;

/** What is next for an instance that nobody uses: a time to wake, or one until which it stays awake. Milliseconds since the epoch. */
export function planSleep(
  work: Date | 'always' | null,
  now: number,
): { readonly wakeAt: number } | { readonly awakeUntil: number } {
  if (work === 'always') return { awakeUntil: now + ASK_AGAIN_MS };
  const latest = now + MAX_SLEEP_MS;
  if (work === null) return { wakeAt: latest };
  const at = work.getTime();
  if (at <= now - OVERDUE_MS) return { wakeAt: now + WAKE_FOR_OVERDUE_MS };
  if (at <= now + SOON_MS) return { awakeUntil: Math.max(at, now) + SOON_MS };
  return { wakeAt: Math.min(at, latest) };
}

/**
 * Records that an instance is put to sleep, and until when, before anything stops: what is interrupted then goes on. Where it has work to
 * do it stays awake instead.
 */
export async function fallAsleep(
  desired: DesiredInstance,
  activity: Activity,
  { databases, liveness, log, now, reporter }: ControllerContext,
): Promise<void> {
  const { id, name, revision } = desired;
  const work = await databases.nextWork(desired).catch((error: unknown) => {
    if (!(error instanceof TenantDatabaseError)) throw error;
    // Their own database hides their own work.
    log.warn({ instance: id, name, err: error }, 'its scheduled work cannot be read');
    return null;
  });
  const plan = planSleep(work, now().getTime());
  if ('awakeUntil' in plan) {
    activity.keepAwake(id, plan.awakeUntil);
    return;
  }
  const lastRequestAt = activity.lastRequestSeconds(desired);
  const wakeAt = Math.ceil(plan.wakeAt / 1000);
  log.info({ instance: id, name, wakeAt: new Date(plan.wakeAt) }, 'falls asleep');
  await reporter.report({
    ...{ id, revision, isAsleep: true, wakeAt, lastRequestAt },
    log: [logLine(now(), 'Nobody has used it for a while: it falls asleep.')],
  });
  liveness.stopWatching(id);
}
