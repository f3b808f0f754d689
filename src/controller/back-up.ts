import { filesMissing, foreignData, RetryableError, TerminalError } from '../errors.ts';
import { dueByRepository, isBootDue, lastNight } from '../instance/backup-policy.ts';
import { isProven, withKept } from '../instance/backup-retention.ts';
import { effectiveState, foreignPart, replacesData } from '../instance/decide.ts';
import type { FailureReason, ProgressReason } from '../instance/reasons.ts';
import type { DesiredInstance, Job } from '../instance/types.ts';
import type { Backup } from '../interfaces.ts';
import type { BackupContext, ControllerContext } from './controller-context.ts';
import { startServer } from './own-server.ts';
import { isMissing, restoreMissing } from './restore-missing.ts';

/** How much of a job is done when a step of it begins, in percent. */
const PERCENT: Partial<Record<ProgressReason, number>> = {
  ...{ BackingUp: 5, Proving: 45 },
  ...{ FetchingRepositories: 5, FetchingBackup: 10, RestoringDatabase: 40, Rehearsing: 40 },
  ...{ ReadingBackup: 30, WritingExport: 60 },
};

/** How long what a restore has replaced is kept, in milliseconds; the addon offers *Undo* as long. */
const UNDO_MS = 7 * 24 * 60 * 60_000;

/** A controller that makes backups. */
export type BackupWork = ControllerContext & { readonly backups: BackupContext };

/** What is to be done: what is due of the night's, or what a person waits for. */
export type BackupKind = 'backup' | 'job';

/**
 * Makes what is due of an instance's backups, or does what a person waits for, and writes down in Odoo what there is then. What goes wrong
 * is written down too, so it is no failure of the work: the next is in an hour.
 * @returns whether the instance is to be reconciled: its own Postgres was started, or data wait to take the place of its own
 */
export async function backUp(
  id: number,
  kind: BackupKind,
  context: BackupWork,
  stop: AbortSignal,
): Promise<{ readonly isToReconcile: boolean }> {
  try {
    return await backUpLent(id, kind, context, stop);
  } finally {
    context.backups.lent.delete(id);
  }
}

async function backUpLent(
  id: number,
  kind: BackupKind,
  context: BackupWork,
  stop: AbortSignal,
): Promise<{ readonly isToReconcile: boolean }> {
  const { backups, log, manager } = context;
  const [desired] = await manager.desired([id]);
  // Each is done in its own queue: the other one has its key too.
  if (!desired || (kind === 'job') !== (desired.job !== null)) return { isToReconcile: false };
  if (desired.job?.kind === 'restore' && !desired.copyOf) {
    const isOver = await restoreWhereNothingIs(desired, desired.job, context, stop);
    if (isOver) return { isToReconcile: true };
  }
  if (desired.job?.kind === 'erase') return erase(desired, desired.job, context, stop);
  if (!hasData(desired)) {
    // A swap that has begun is finished first, or parts of two would be left.
    const isPrepared =
      desired.job !== null && (await backups.restores.prepared(desired)) === desired.job.identity;
    const isGone = effectiveState(desired, null) === 'purged';
    if (desired.job && (!isPrepared || isGone)) await manager.reportJob(desired.job.id, NOTHING);
    return { isToReconcile: isPrepared && !isGone };
  }
  if (desired.job && replacesData(desired.job)) {
    await prepareSwap(desired, desired.job, context, stop);
    return { isToReconcile: true };
  }
  if (desired.job?.kind === 'export') {
    await exportData(desired, desired.job, context, stop);
    return { isToReconcile: false };
  }
  const job = desired.job?.kind === 'backup' || desired.job?.kind === 'prove' ? desired.job : null;
  let isToReconcile = false;
  try {
    const known = await backups.store.list(desired, stop);
    const due = job ? job.kind : dueOf(desired, known, context);
    if (due === null) return { isToReconcile };
    if (due === 'backup') {
      await say(job, 'BackingUp', context);
      isToReconcile = await startOwnServer(desired, context, stop);
      // What it removes is on that server too.
      await backups.restores.dropReplaced(desired, context.now().getTime() - UNDO_MS);
      await beforePurge(desired, context, () =>
        backups.store.take(desired, { isByHand: job !== null }, stop),
      );
    }
    const made = due === 'backup' ? await backups.store.list(desired, stop) : known;
    await report(desired, made, null, context);
    await say(job, 'Proving', context);
    // Who asks for a proof gets all of it.
    const boots = job ? job.kind === 'prove' : isBootDue(id, made, nightOf(context));
    await prove(desired, job?.snapshot || (made.at(-1)?.snapshot ?? ''), boots, context, stop);
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

/** Writes a backup for people to take away. Neither the instance nor its database is asked for anything, so it may be suspended. */
async function exportData(
  desired: DesiredInstance,
  job: Job,
  context: BackupWork,
  stop: AbortSignal,
): Promise<void> {
  const { backups, manager } = context;
  await telling(desired, job, 'not exported', context, stop, async () => {
    const progress = (reason: ProgressReason) => say(job, reason, context);
    await backups.exports.write(desired, job.snapshot, progress, stop);
    await manager.reportJob(job.id, { ...DONE, state: 'done', percent: 100 });
  });
}

/** Removes all that is kept of an instance, once its data were removed. @returns whether they are still to be */
async function erase(
  desired: DesiredInstance,
  job: Job,
  context: BackupWork,
  stop: AbortSignal,
): Promise<{ readonly isToReconcile: boolean }> {
  const { backups, databases, engine, manager } = context;
  let isToReconcile = false;
  await telling(desired, job, 'not erased', context, stop, async () => {
    const state = effectiveState(desired, null);
    if (state !== 'purged') throw new TerminalError('StillHasData', 'its data were not removed');
    const seen = await engine.observe(desired, state);
    const database = await databases.observe(desired, state);
    // The loop would stall there, and each of its rounds would bring the job here again.
    const foreign = foreignPart(desired, { ...seen, database });
    if (foreign) throw foreignData(foreign);
    isToReconcile = seen.files !== 'absent' || database !== 'absent';
    if (isToReconcile) return;
    await say(job, 'Erasing', context);
    await backups.turns.take(desired.id, () => backups.erasures.erase(desired, job, stop));
    await report(desired, [], null, context);
    await manager.reportJob(job.id, { ...DONE, state: 'done', percent: 100 });
  });
  return { isToReconcile };
}

/** Makes what is to replace an instance's data, beside them; reconcile() then puts it in their place. */
async function prepareSwap(
  desired: DesiredInstance,
  job: Job,
  context: BackupWork,
  stop: AbortSignal,
): Promise<void> {
  const { backups, manager } = context;
  await telling(desired, job, 'not prepared', context, stop, async () => {
    if (await backups.restores.isCarriedOut(desired, job)) {
      // The sidecar was killed before it could say so.
      await manager.reportJob(job.id, { ...DONE, state: 'done', percent: 100 });
      return;
    }
    // What a swap that was cut off has left is neither whole nor missing: that it is prepared is enough.
    if ((await backups.restores.prepared(desired)) === job.identity) return;
    const mayBeIncomplete = job.kind !== 'update';
    await startOwnServer(desired, context, stop, { mayBeIncomplete });
    const progress = (reason: ProgressReason) => say(job, reason, context);
    if (job.kind === 'update') {
      const snapshot = await provenBackup(desired, job, context, stop);
      await beforePurge(desired, context, () =>
        backups.updates.rehearse(desired, job, snapshot, progress, stop),
      );
      return;
    }
    if (job.kind === 'restore') await keepPresent(desired, job, context, stop);
    await beforePurge(desired, context, async () => {
      if (job.kind !== 'restore') await backups.updates.prepareUndo(desired, job);
      await backups.restores.prepare(desired, job, progress, stop);
    });
  });
}

/**
 * The newest proven backup of an instance's data as they are; where there is none, one is made. What was saved before the last update or its
 * undo is of other versions.
 */
async function provenBackup(
  desired: DesiredInstance,
  job: Job,
  context: BackupWork,
  stop: AbortSignal,
): Promise<string> {
  const { restores, store } = context.backups;
  const replacedAt = (await restores.replacedAt(desired)) ?? new Date(0);
  const proven = (await store.list(desired, stop)).filter(isProven).at(-1);
  if (proven && proven.date > replacedAt) return proven.snapshot;
  await say(job, 'BackingUp', context);
  await beforePurge(desired, context, () => store.take(desired, { isByHand: true }, stop));
  const made = await store.list(desired, stop);
  await say(job, 'Proving', context);
  await prove(desired, made.at(-1)?.snapshot ?? '', true, context, stop);
  await report(desired, await store.list(desired, stop), null, context);
  return made.at(-1)?.snapshot ?? '';
}

/**
 * Restores an instance of which nothing is here: after the end of its retention, or on another host.
 * @returns false: there are data, which a restore is to replace
 */
async function restoreWhereNothingIs(
  desired: DesiredInstance,
  job: Job,
  context: BackupWork,
  stop: AbortSignal,
): Promise<boolean> {
  const { backups, databases, engine, manager } = context;
  const { restores, restoring, turns } = backups;
  let isReplacing = false;
  await telling(desired, job, 'not restored', context, stop, async () => {
    isReplacing = !(await isMissing(desired, { engine, restoring }));
    if (isReplacing) return;
    await say(job, 'FetchingBackup', context);
    const isDone = await turns.take(desired.id, () =>
      restores.fetched(desired, job.snapshot, stop, async (source, bounded) => {
        await say(job, 'RestoringDatabase', context);
        return restoreMissing(desired, source, { databases, engine, manager, restoring }, bounded);
      }),
    );
    // Otherwise another backup's data are there now, and the next round has them replaced.
    if (isDone) await manager.reportJob(job.id, { ...NOTHING_REPLACED, state: 'done' });
  });
  return !isReplacing;
}

/** Does what a person waits for; what goes wrong is said to them. @param words for the operator's log */
async function telling(
  { id, name }: DesiredInstance,
  job: Job,
  words: string,
  { log, manager }: BackupWork,
  stop: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    stop.throwIfAborted();
    log.error({ instance: id, name, err: error }, words);
    await manager.reportJob(job.id, { ...failureOf(error), state: 'failed', percent: 0 });
  }
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
    await beforePurge(desired, context, () =>
      backups.store.take(desired, { isByHand: true }, stop),
    );
    await report(desired, await backups.store.list(desired, stop), null, context);
  } catch (error) {
    stop.throwIfAborted();
    if (await backups.restores.replacedAt(desired)) throw error;
    log.warn({ instance: desired.id, err: error }, 'restored without a backup of what was there');
  }
}

/**
 * Runs work with an instance's data or beside them while they cannot be purged: what is made later would be left.
 * @throws TerminalError('BackupGone') where they have been meanwhile
 */
async function beforePurge(
  { id }: DesiredInstance,
  { backups, manager }: BackupWork,
  work: () => Promise<void>,
): Promise<void> {
  await backups.turns.take(id, async () => {
    const [now] = await manager.desired([id]);
    if (!now || effectiveState(now, null) === 'purged')
      throw new TerminalError('BackupGone', 'The instance was purged meanwhile.');
    await work();
  });
}

const DONE = { reason: '', detail: '' } as const;

/** Odoo offers no Undo. */
const NOTHING_REPLACED = { reason: 'NothingReplaced', detail: '', percent: 100 } as const;

/** Removed while somebody waited. */
const NOTHING = { state: 'failed', reason: 'BackupGone', detail: '', percent: 0 } as const;

/** Whether there is anything to be saved: a staging copy is one itself, and a removed instance has been saved before, and nothing in it changes any more. */
export function hasData(desired: DesiredInstance): boolean {
  const state = effectiveState(desired, null);
  if (desired.copyOf) return false;
  return desired.wasReady && state !== 'draft' && state !== 'removed' && state !== 'purged';
}

/** What is due by what the repository holds, which is newer than what Odoo knows. */
function dueOf({ requestedAt }: DesiredInstance, known: readonly Backup[], context: BackupWork) {
  const now = context.now().getTime() / 1000;
  return dueByRepository(known, 0, nightOf(context), now, requestedAt);
}

/** When the last night's backups were to begin, in seconds since the epoch. */
function nightOf({ backups, now }: BackupWork): number {
  return lastNight(backups.time, now()).getTime() / 1000;
}

/** @throws TerminalError('BackupGone') where there is nothing to prove */
async function prove(
  desired: DesiredInstance,
  snapshot: string,
  boots: boolean,
  { backups }: BackupWork,
  stop: AbortSignal,
): Promise<void> {
  if (!snapshot) throw new TerminalError('BackupGone', 'There is no backup of this instance.');
  await backups.store.prove(desired, snapshot, { boots }, stop);
}

/**
 * A backup of missing files, or of another's data, is none. The own Postgres of an instance that does not run is started for it.
 * @returns whether it was
 */
async function startOwnServer(
  desired: DesiredInstance,
  context: BackupWork,
  stop: AbortSignal,
  { mayBeIncomplete = false } = {},
): Promise<boolean> {
  const { backups, databases, engine } = context;
  const state = effectiveState(desired, null);
  const seen = await engine.observe(desired, state);
  if (seen.directory === 'nobody') throw filesMissing();
  if (seen.directory !== 'own') throw foreignData('directory');
  if (seen.data !== 'whole' && !mayBeIncomplete) throw filesMissing();
  const database = await databases.observe(desired, state);
  if (database === 'foreign' || database === 'unmarked') throw foreignData('database');
  if (database === 'absent' && !mayBeIncomplete)
    throw new TerminalError('DatabaseMissing', 'its database existed and is gone');
  if (database !== 'offline') return false;
  backups.lent.add(desired.id);
  await startServer(desired, context, stop);
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
  await manager.reportBackups(id, backups && withKept(backups, now()), failure);
}

/** Why there is no backup, for people. */
export function failureOf(error: unknown): {
  readonly reason: FailureReason;
  readonly detail: string;
} {
  const isReasoned = error instanceof TerminalError || error instanceof RetryableError;
  if (isReasoned) return { reason: error.reason, detail: error.detail };
  return { reason: 'Unexpected', detail: '' };
}
