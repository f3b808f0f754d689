import type { SubscriptionChange } from '../billing/subscription-types.ts';
import {
  filesMissing,
  foreignData,
  ManagerError,
  RetryableError,
  TerminalError,
  unavailableService,
} from '../errors.ts';
import { withKept } from '../instance/backup-retention.ts';
import type { FailureReason } from '../instance/reasons.ts';
import type { DesiredInstance, EffectiveState } from '../instance/types.ts';
import type { ControllerContext } from './controller-context.ts';
import { startServer } from './own-server.ts';
import { logLine, progressReport } from './progress.ts';

const WITHOUT = 'No last backup could be made; the data go without one, as a person has confirmed.';

/** Takes the last backup of an instance; only once it is proven does the manager hear of it. */
export async function archive(
  desired: DesiredInstance,
  state: EffectiveState,
  change: SubscriptionChange,
  context: ControllerContext,
  stop: AbortSignal,
): Promise<void> {
  const { archives, backups, databases, engine, log, manager, now, reporter } = context;
  const { id, revision } = desired;
  if (!desired.wasReady) {
    await reporter.report({ id, revision, subscription: { ...change, archivedAt: now() } });
    return;
  }
  reporter.progress(progressReport(desired, 'Archiving', now()));
  const write = async () => {
    // A backup of missing files may be proven, and would then permit the removal of what is left.
    if ((await engine.observe(desired, state)).data !== 'whole') throw filesMissing();
    const database = await databases.observe(desired, state);
    if (database === 'foreign' || database === 'unmarked') throw foreignData('database');
    if (database === 'offline') await startOwnServer(desired, context, stop);
    return archives.write(desired, stop);
  };
  // One of the night's may be under way.
  const inTurn = () => (backups ? backups.oneByOne.take(id, write) : write());
  const written = await inTurn().catch((error: unknown) => {
    if (stop.aborted || !isGivenUp(desired, error)) throw error;
    log.warn({ instance: id, name: desired.name, err: error }, 'goes without a last backup');
    return null;
  });
  if (written) {
    log.info(
      { instance: id, name: desired.name, backup: written.name, leftOut: written.leftOut },
      'the last backup is made and proven',
    );
    // A restore is asked for in Odoo, which has to know of it.
    const known = await backups?.store.list(desired, stop);
    if (known) await manager.reportBackups(id, withKept(known, now()), null);
  }
  await reporter.report({
    id,
    revision,
    subscription: { ...change, archivedAt: now(), archive: written?.name ?? '' },
    log: [logLine(now(), written ? archived(written) : WITHOUT)],
  });
}

/** Its own Postgres was stopped with it; the next round stops it again. What its tenant did to it must not hold the archive up in silence. */
async function startOwnServer(
  desired: DesiredInstance,
  context: ControllerContext,
  stop: AbortSignal,
): Promise<void> {
  try {
    await startServer(desired, context, stop);
  } catch (cause) {
    stop.throwIfAborted();
    throw new TerminalError(
      'ArchiveServerDown',
      "The last backup could not be made: the instance's own Postgres does not start. Nothing was removed.",
      { cause },
    );
  }
}

/** Whether a person has confirmed that the data may be removed without a last backup, and the failure is one that this covers. */
function isGivenUp({ endsWithoutArchive }: DesiredInstance, error: unknown): boolean {
  if (!endsWithoutArchive || error instanceof ManagerError) return false;
  if (unavailableService(error) !== null) return false;
  if (error instanceof RetryableError && AWAY.test(error.reason)) return false;
  return !(error instanceof TerminalError && NEVER.has(error.reason));
}

/** Reasons that say nothing of the data, and pass. A full disk is none of them: the data may be too large for it, for ever. */
const AWAY = /^(?:Docker|BackupServer|BackupLocked$)/;

/** The confirmation does not cover another instance's data, nor a host that is not to write any more. */
const NEVER: ReadonlySet<FailureReason> = new Set<FailureReason>(['ForeignData', 'HostReplaced']);

function archived({ name, leftOut }: { readonly name: string; readonly leftOut: number }): string {
  const rest = `${leftOut} files and folders are not in it: they lie so deep that no program can open all of their paths. Its manifest names some.`;
  return [
    `The last backup is made and proven: ${name.slice(0, 12)}.`,
    ...(leftOut > 0 ? [rest] : []),
  ].join(' ');
}
