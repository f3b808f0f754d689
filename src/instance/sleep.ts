import type { InstanceState, Sleep } from './types.ts';

const HOUR_MS = 3_600_000;

/** How far Odoo's clock may be ahead of this host's. */
const CLOCK_SKEW_MS = 5 * 60_000;

/** How long an instance that was woken for its own work stays awake: its scheduler looks for work once a minute. In milliseconds. */
export const AWAKE_MS = 10 * 60_000;

/** What this run of the sidecar knows of an instance's visitors. Milliseconds since the epoch. */
export interface Attention {
  readonly now: number;
  /** 0: it has seen none. */
  readonly lastRequestAt: number;
  /** Until then it is not put to sleep: it has just been woken, or has work to do. */
  readonly awakeUntil: number;
  /** Since when visitors are seen: an instance of which nothing older is known has its hours from then on. */
  readonly since: number;
}

/** The moment of the last visit that is known; 0: none, in milliseconds since the epoch. */
export function lastRequestOf(known: Pick<Sleep, 'lastRequestAt'>, attention: Attention): number {
  // A clock that was ahead once must not keep an instance awake for as long.
  const seen = [known.lastRequestAt * 1000, attention.lastRequestAt];
  return Math.max(0, ...seen.filter((moment) => moment <= attention.now + CLOCK_SKEW_MS));
}

/**
 * Whether an instance that runs, as far as people and its subscription are concerned, is to be asleep now. Computed afresh each time:
 * what Odoo shows as `isAsleep` is only a part of it.
 * @param attention null: nobody sees its visitors, so nobody could wake it
 */
export function isToSleep(
  known: Sleep & { readonly state: InstanceState },
  attention: Attention | null,
): boolean {
  const { isAsleep, sleepHours, state, wakeAt } = known;
  if (attention === null || !(sleepHours > 0)) return false;
  const { awakeUntil, now, since } = attention;
  const idleMs = sleepHours * HOUR_MS;
  const lastRequestAt = lastRequestOf(known, attention) || (isAsleep ? 0 : since);
  if (now - lastRequestAt < idleMs) return false;
  if (isAsleep) return wakeAt === 0 || now < wakeAt * 1000;
  // What is in error is not hidden by putting it to sleep, and what has not settled yet goes on.
  // A sidecar that has just started does not know yet what was woken a moment ago, or visited.
  const isSettled = now - since >= Math.min(AWAKE_MS, idleMs);
  return state === 'running' && isSettled && now >= awakeUntil;
}
