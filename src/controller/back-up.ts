import { filesMissing, foreignData, RetryableError, TerminalError } from '../errors.ts';
import { type BackupFacts, dueBackup, lastNight } from '../instance/backup-policy.ts';
import { isProven, keptBackups } from '../instance/backup-retention.ts';
import { effectiveState, replacesData } from '../instance/decide.ts';
import type { FailureReason, ProgressReason } from '../instance/reasons.ts';
import type { DesiredInstance, Job } from '../instance/types.ts';
import type { Backup } from '../interfaces.ts';
import type { BackupContext, ControllerContext } from './controller-context.ts';

/** How much of a job is done when a step of it begins, in percent. */
const PERCENT: Partial<Record<ProgressReason, number>> = {
  ...{ BackingUp: 5, Proving: 45 },
  ...{ FetchingRepositories: 5, FetchingBackup: 10, RestoringDatabase: 40, Rehearsing: 40 },
};

/** How long what a restore has replaced is kept, in milliseconds; the addon offers *Undo* as long. */
const UNDO_MS = 7 * 24 * 60 * 60_000;

/** A controller that makes backups. */
export type BackupWork = ControllerContext & { readonly backups: BackupContext };

/**
 * Makes what is due of an instance's backups, or what a person waits for, and writes down in Odoo what there is then. What goes wrong
 * is written down too, so it is no failure of the work: the next is in an hour.
 * @returns whether the instance is to be reconciled: its own Postgres was started, or data wait to take the place of its own
 */
export async function backUp(
  id: number,
  context: BackupWork,
  stop: AbortSignal,
): Promise<{ readonly isToReconcile: boolean }> {
  try {
    return await backUpLent(id, context, stop);
  } finally {
    context.backups.lent.delete(id);
  }
}

async function backUpLent(
  id: number,
  context: BackupWork,
  stop: AbortSignal,
): Promise<{ readonly isToReconcile: boolean }> {
  const { backups, log, manager } = context;
  const [desired] = await manager.desired([id]);
  if (!desired) return { isToReconcile: false };
  if (!hasData(desired)) {
    // A swap that has begun is finished first, or parts of two would be left.
    const isPrepared =
      desired.job !== null && (await backups.restores.prepared(desired)) === desired.job.id;
    const isGone = effectiveState(desired, null) === 'purged';
    if (desired.job && (!isPrepared || isGone)) await manager.reportJob(desired.job.id, NOTHING);
    return { isToReconcile: isPrepared && !isGone };
  }
  if (desired.job && replacesData(desired.job)) {
    await prepareSwap(desired, desired.job, context, stop);
    return { isToReconcile: true };
  }
  const job = desired.job?.kind === 'backup' || desired.job?.kind === 'prove' ? desired.job : null;
  let isToReconcile = false;
  try {
    await backups.restores.dropReplaced(desired, context.now().getTime() - UNDO_MS);
    const known = await backups.store.list(desired, stop);
    const due = job ? job.kind : dueOf(desired, known, context);
    if (due === null) return { isToReconcile };
    if (due === 'backup') {
      await say(job, 'BackingUp', context);
      isToReconcile = await startOwnServer(desired, context, stop);
      await backups.turns.take(id, () =>
        backups.store.take(desired, { isByHand: job !== null }, stop),
      );
    }
    const made = due === 'backup' ? await backups.store.list(desired, stop) : known;
    await report(desired, made, null, context);
    await say(job, 'Proving', context);
    await prove(desired, job?.snapshot || (made.at(-1)?.snapshot ?? ''), context, stop);
    const left = await backups.store.forgetOld(desired, context.now(), stop);
    await report(desired, left, null, context);
    if (job) await manager.reportJob(job.id, { ...DONE, state: 'done', percent: 100 });
  } catch (error) {
    stop.throwIfAborted();
    const failure = failureOf(error);
    log.error({ instance: id, name: desired.name, err: error }, 'no backup, or none that is whole');
    // What there is may be unknown for the same reason.
    const left = await backups.store.list(desired, stop).catch(() => null);
    await report(desired, left, failure, context);
    if (job) await manager.reportJob(job.id, { ...failure, state: 'failed', percent: 0 });
  }
  return { isToReconcile };
}

/** Makes what is to replace an instance's data, beside them; reconcile() then puts it in their place. */
async function prepareSwap(
  desired: DesiredInstance,
  job: Job,
  context: BackupWork,
  stop: AbortSignal,
): Promise<void> {
  const { backups, log, manager } = context;
  try {
    if (await backups.restores.isCarriedOut(desired, job)) {
      // The sidecar was killed before it could say so.
      await manager.reportJob(job.id, { ...DONE, state: 'done', percent: 100 });
      return;
    }
    // What a swap that was cut off has left is neither whole nor missing: that it is prepared is enough.
    if ((await backups.restores.prepared(desired)) === job.id) return;
    const mayBeIncomplete = job.kind !== 'update';
    await startOwnServer(desired, context, stop, { mayBeIncomplete });
    const progress = (reason: ProgressReason) => say(job, reason, context);
    if (job.kind === 'update') {
      const snapshot = await provenBackup(desired, job, context, stop);
      await backups.updates.rehearse(desired, job, snapshot, progress, stop);
      return;
    }
    if (job.kind === 'restore') await keepPresent(desired, job, context, stop);
    else await backups.updates.prepareUndo(desired, job);
    await backups.restores.prepare(desired, job, progress, stop);
  } catch (error) {
    stop.throwIfAborted();
    log.error({ instance: desired.id, name: desired.name, err: error }, 'not prepared');
    await manager.reportJob(job.id, { ...failureOf(error), state: 'failed', percent: 0 });
  }
}

/** The newest proven backup of an instance; where there is none, one is made. */
async function provenBackup(
  desired: DesiredInstance,
  job: Job,
  context: BackupWork,
  stop: AbortSignal,
): Promise<string> {
  const { store, turns } = context.backups;
  const newest = async () => (await store.list(desired, stop)).filter(isProven).at(-1)?.snapshot;
  const proven = await newest();
  if (proven) return proven;
  await say(job, 'BackingUp', context);
  await turns.take(desired.id, () => store.take(desired, { isByHand: true }, stop));
  const made = await store.list(desired, stop);
  await say(job, 'Proving', context);
  await prove(desired, made.at(-1)?.snapshot ?? '', context, stop);
  await report(desired, await store.list(desired, stop), null, context);
  return made.at(-1)?.snapshot ?? '';
}

/**
 * Backs the present data up: what a restore replaces is kept beside the instance, but only until the next one. Data that are lost or
 * broken are no reason not to restore, unless something else would go that is kept nowhere else.
 */
async function keepPresent(
  desired: DesiredInstance,
  job: Job,
  context: BackupWork,
  stop: AbortSignal,
): Promise<void> {
  const { backups, log } = context;
  await say(job, 'BackingUp', context);
  try {
    await backups.turns.take(desired.id, () =>
      backups.store.take(desired, { isByHand: true }, stop),
    );
    await report(desired, await backups.store.list(desired, stop), null, context);
  } catch (error) {
    stop.throwIfAborted();
    if (await backups.restores.keepsReplaced(desired)) throw error;
    log.warn({ instance: desired.id, err: error }, 'restored without a backup of what was there');
  }
}

const DONE = { reason: '', detail: '' } as const;

/** Removed while somebody waited. */
const NOTHING = { state: 'failed', reason: 'BackupGone', detail: '', percent: 0 } as const;

/** Whether there is anything to be saved: a removed instance has been saved before, and nothing in it changes any more. */
function hasData(desired: DesiredInstance): boolean {
  const state = effectiveState(desired, null);
  return desired.wasReady && state !== 'draft' && state !== 'removed' && state !== 'purged';
}

/** What is due by what the repository holds, which is newer than what Odoo knows. */
function dueOf(
  { requestedAt }: DesiredInstance,
  known: readonly Backup[],
  { backups, now }: BackupWork,
) {
  const newest = (some: readonly Backup[]) =>
    Math.max(0, ...some.map(({ date }) => date.getTime() / 1000));
  const facts: BackupFacts = {
    lastBackupAt: newest(known),
    lastProofAt: newest(known.filter(isProven)),
    lastFailureAt: 0,
  };
  const night = lastNight(backups.time, now()).getTime() / 1000;
  const due = dueBackup(facts, night, now().getTime() / 1000, requestedAt);
  // One that failed its proof fails it again: the next backup is another one.
  return due === 'prove' && known.at(-1)?.proof === 'failed' ? null : due;
}

/** @throws TerminalError('BackupGone') where there is nothing to prove */
async function prove(
  desired: DesiredInstance,
  snapshot: string,
  { backups }: BackupWork,
  stop: AbortSignal,
): Promise<void> {
  if (!snapshot) throw new TerminalError('BackupGone', 'There is no backup of this instance.');
  await backups.store.prove(desired, snapshot, stop);
}

/**
 * A backup of missing files, or of another's data, is none. The own Postgres of an instance that does not run is started for it.
 * @returns whether it was
 */
async function startOwnServer(
  desired: DesiredInstance,
  { backups, databases, engine }: BackupWork,
  stop: AbortSignal,
  { mayBeIncomplete = false } = {},
): Promise<boolean> {
  const state = effectiveState(desired, null);
  const seen = await engine.observe(desired, state);
  if (seen.directory !== 'own') throw foreignData('directory');
  if (seen.data !== 'whole' && !mayBeIncomplete) throw filesMissing();
  const database = await databases.observe(desired, state);
  if (database === 'foreign' || database === 'unmarked') throw foreignData('database');
  if (database === 'absent' && !mayBeIncomplete)
    throw new TerminalError('DatabaseMissing', 'its database existed and is gone');
  if (database !== 'offline') return false;
  backups.lent.add(desired.id);
  await engine.startDatabase(desired, stop);
  await databases.awaitServer(desired, stop);
  return true;
}

async function say(
  job: Job | null,
  reason: ProgressReason,
  { manager }: BackupWork,
): Promise<void> {
  if (!job) return;
  const percent = PERCENT[reason] ?? 0;
  await manager.reportJob(job.id, { state: 'running', reason, detail: '', percent });
}

async function report(
  { id }: DesiredInstance,
  backups: readonly Backup[] | null,
  failure: { readonly reason: FailureReason; readonly detail: string } | null,
  { manager, now }: BackupWork,
): Promise<void> {
  const kept = keptBackups(backups ?? [], now());
  // What is forgotten next, or cannot be on a server that keeps everything, is kept as the others of its month are.
  const rows =
    backups?.map((one) => ({ ...one, kept: kept.get(one.snapshot) ?? 'monthly' })) ?? null;
  await manager.reportBackups(id, rows, failure);
}

function failureOf(error: unknown): { readonly reason: FailureReason; readonly detail: string } {
  const isReasoned = error instanceof TerminalError || error instanceof RetryableError;
  if (isReasoned) return { reason: error.reason, detail: error.detail };
  return { reason: 'Unexpected', detail: '' };
}
