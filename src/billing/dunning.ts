import { addDays, dayIn, laterOf } from './days.ts';
import type { Moments, Stage, Terms } from './subscription-types.ts';

/** One dunning stage: what it waits for, for how long, and in which field the moment it was entered is kept. */
export interface StageRule {
  readonly stage: Stage;
  readonly moment: keyof Moments;
  /** The moment from which the wait counts; null: subscription.ts decides when the service has lapsed. */
  readonly since: keyof Moments | null;
  readonly days: (terms: Terms) => number;
  /** `days`, in words. */
  readonly wait: string;
  readonly means: string;
}

/** The stages of an unpaid subscription. Only the first depends on the last paid day. */
export const DUNNING_STAGES: readonly StageRule[] = [
  {
    stage: 'suspend',
    moment: 'suspendedAt',
    since: null,
    days: (terms) => terms.grace,
    wait: 'last paid day + grace; at once when refunded; no grace when cancelled',
    means: 'the container is stopped, the data stay, the customer gets a link to pay',
  },
  {
    stage: 'finalNotice',
    moment: 'finalNoticeAt',
    since: 'suspendedAt',
    days: (terms) => Math.max(0, terms.retention - terms.finalNotice),
    wait: 'retention − final notice',
    means: 'the customer is notified for the last time',
  },
  {
    stage: 'archive',
    moment: 'archivedAt',
    since: 'finalNoticeAt',
    days: (terms) => Math.min(terms.finalNotice, terms.retention),
    wait: 'final notice',
    means: 'a last backup of database and files is taken, and proven by restoring it elsewhere',
  },
  {
    stage: 'remove',
    moment: 'dataRemovedAt',
    since: 'archivedAt',
    days: () => 0,
    wait: 'the next review',
    means: 'container, database, role and files are removed; the last backup stays',
  },
];

/** The stages after *Remove*: the containers are removed at once, the data when retention ends. */
export const REMOVAL_STAGES: readonly StageRule[] = [
  {
    stage: 'finalNotice',
    moment: 'finalNoticeAt',
    since: 'removedAt',
    days: (terms) => Math.max(0, terms.retention - terms.finalNotice),
    wait: 'retention − final notice, from the last paid day where it was paid since',
    means: 'the customer is notified for the last time',
  },
  {
    stage: 'archive',
    moment: 'archivedAt',
    since: 'finalNoticeAt',
    days: (terms) => Math.min(terms.finalNotice, terms.retention),
    wait: 'final notice',
    means: 'as above; until then a button brings the instance back',
  },
  {
    stage: 'remove',
    moment: 'dataRemovedAt',
    since: 'archivedAt',
    days: () => 0,
    wait: 'the next review',
    means: 'as above',
  },
];

/**
 * The next stage and the day from which it is due: '' (at once) for the first stage of a lapsed subscription; null after the last.
 * @param paidUntil the last paid day by payments since the instance was removed, or '': its data are kept that much longer
 */
export function nextStage(
  stages: readonly StageRule[],
  moments: Moments,
  terms: Terms,
  timeZone: string,
  paidUntil = '',
): { readonly rule: StageRule; readonly day: string } | null {
  const rule = stages.find(({ moment: mark }) => moments[mark] === null);
  if (!rule) return null;
  const since = rule.since && moments[rule.since];
  if (!since) return { rule, day: '' };
  const from = dayIn(timeZone, since);
  const base = rule.since === 'removedAt' ? laterOf(from, paidUntil) : from;
  return { rule, day: addDays(base, rule.days(terms)) };
}

/** The last day on which the data of a removed instance are kept. @param paidUntil as in nextStage() */
export function removedDataKeptUntil(
  { finalNoticeAt, removedAt }: Moments,
  terms: Terms,
  timeZone: string,
  paidUntil: string,
): string {
  if (finalNoticeAt)
    return addDays(dayIn(timeZone, finalNoticeAt), Math.min(terms.finalNotice, terms.retention));
  return removedAt ? addDays(laterOf(dayIn(timeZone, removedAt), paidUntil), terms.retention) : '';
}
