import { isProgress, type ProgressReason } from './reasons.ts';
import type { KnownInstance } from './types.ts';

/** What people at a terminal or a graph read of an instance: more exact than the five states that Odoo stores. Worst first. */
export const SHOWN_STATES = [
  'error',
  'preparing',
  'starting',
  'stopping',
  'restoring',
  'removing',
  'running',
  'asleep',
  'suspended',
  'stopped',
  'draft',
  'removed',
] as const;
export type ShownState = (typeof SHOWN_STATES)[number];

/** What is under way only for some time. */
const PASSING: ReadonlySet<ShownState> = new Set([
  'preparing',
  'starting',
  'stopping',
  'restoring',
  'removing',
]);

/** Steps that are part of something other than a start. */
const PART_OF: Partial<Record<ProgressReason, ShownState>> = {
  Stopping: 'stopping',
  TakingDown: 'removing',
  Archiving: 'removing',
  Purging: 'removing',
  FetchingBackup: 'restoring',
  RestoringDatabase: 'restoring',
  SwappingData: 'restoring',
};

/** Steps during which the state stays what it was. */
const BESIDE: ReadonlySet<string> = new Set<ProgressReason>([
  'Marking',
  'BackingUp',
  'Proving',
  'UpdatingApps',
  'ApplyingLimits',
  'ReadingBackup',
  'WritingExport',
]);

/** Computed from what was last reported to Odoo. Pure. */
export function shownState({
  isAsleep,
  reason,
  state,
}: Pick<KnownInstance, 'state' | 'reason' | 'isAsleep'>): ShownState {
  if (isProgress(reason) && !BESIDE.has(reason))
    return PART_OF[reason as ProgressReason] ?? (state === 'draft' ? 'preparing' : 'starting');
  if (state === 'running' && isAsleep) return 'asleep';
  if (state === 'stopped' && (reason === 'Expired' || reason === 'Refunded')) return 'suspended';
  return state;
}

/** Whether it is only there for some time, so that one that stays needs a person. */
export function isPassing(state: ShownState): boolean {
  return PASSING.has(state);
}
