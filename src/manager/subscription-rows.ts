import { z } from 'zod';
import type { Period, Subscription, SubscriptionChange } from '../billing/subscription-types.ts';
import type { RecentSuspensions } from '../billing/suspension-limit.ts';
import { day, id, moment } from './odoo-values.ts';

/* The shapes that the addon's methods give and take for subscriptions, and what they mean here. */

const count = z.int().nonnegative();

const money = z
  .object({
    move_type: z.string(),
    state: z.string(),
    payment_state: z.string(),
    reversed_ratio: z.number(),
  })
  .transform((row) => ({
    moveType: row.move_type,
    state: row.state,
    paymentState: row.payment_state,
    reversedRatio: Math.min(1, Math.max(0, row.reversed_ratio)),
  }));

const period = z
  .object({
    line_id: count,
    is_first: z.boolean(),
    months: count,
    paid_at: z.number().nonnegative(),
    missing_since: moment,
    money: z.union([z.literal(false), money]),
    sold: z.union([
      z.literal(false),
      z.object({ unit: z.int(), quantity: z.number(), removed: z.array(z.int()) }),
    ]),
    replaces: count,
    counted: z.union([
      z.literal(false),
      z.object({ before: day, after: day, days: z.int(), taken: z.int(), taken_back_on: day }),
    ]),
  })
  .transform(
    (row): Period => ({
      lineId: row.line_id,
      isFirst: row.is_first,
      months: row.months,
      paidAt: row.paid_at > 0 ? new Date(row.paid_at * 1000) : null,
      missingSince: row.missing_since,
      money: row.money || null,
      sold: row.sold || null,
      replaces: row.replaces,
      applied: row.counted
        ? {
            before: row.counted.before,
            after: row.counted.after,
            days: row.counted.days,
            reversedDays: row.counted.taken,
            reversedOn: row.counted.taken_back_on,
          }
        : null,
    }),
  );

export const subscription = z
  .object({
    id,
    state: z.enum([
      'draft',
      'active',
      'paused',
      'expiring_soon',
      'expired',
      'cancelled',
      'removed',
    ]),
    fecha_inicio: day,
    fecha_fin: day,
    reason: z.enum(['', 'Expired', 'Refunded', 'Cancelled']),
    terms: z.object({
      notice: count,
      grace: count,
      retention: count,
      final_notice: count,
      refund: z.enum(['suspend', 'warn', 'ignore']),
      reconsider: count,
      free: z.enum(['', 'continue', 'end']),
    }),
    periods: z.array(period),
    told: z.array(z.string()),
    suspended_at: moment,
    final_notice_at: moment,
    archived_at: moment,
    data_removed_at: moment,
    hidden_at: moment,
  })
  .transform(
    ({ terms: { final_notice: finalNotice, ...terms }, ...row }): Subscription => ({
      id: row.id,
      state: row.state,
      startDay: row.fecha_inicio,
      endDay: row.fecha_fin,
      reason: row.reason,
      terms: { ...terms, finalNotice },
      periods: row.periods,
      sentNotices: row.told,
      suspendedAt: row.suspended_at,
      finalNoticeAt: row.final_notice_at,
      archivedAt: row.archived_at,
      dataRemovedAt: row.data_removed_at,
      removedAt: row.hidden_at,
    }),
  );

export const recentSuspensions = z
  .object({ taken: count, fleet: count, is_approved: z.boolean() })
  .transform(({ is_approved: isApproved, ...row }): RecentSuspensions => ({ ...row, isApproved }));

/** A change as `microsaas_report` takes it; undefined members are not sent and so not written. */
export function subscriptionRow(change: SubscriptionChange): Record<string, unknown> {
  return {
    state: change.state,
    fecha_inicio: change.startDay,
    fecha_fin: change.endDay,
    reason: change.reason,
    archive: change.archive,
    suspended_at: change.suspendedAt,
    final_notice_at: change.finalNoticeAt,
    archived_at: change.archivedAt,
    data_removed_at: change.dataRemovedAt,
    hidden_at: change.removedAt,
    periods: change.periods?.map(({ applied, isFirst, lineId, missingSince }) => ({
      line_id: lineId,
      is_first: isFirst,
      before: applied?.before ?? '',
      after: applied?.after ?? '',
      days: applied?.days ?? 0,
      taken: applied?.reversedDays ?? 0,
      taken_back_on: applied?.reversedOn ?? '',
      missing_since: missingSince,
    })),
    notices: change.notices?.map(({ kind, period: tells }) => ({ kind, period: tells })),
  };
}
