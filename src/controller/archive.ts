import type { SubscriptionChange } from '../billing/subscription-types.ts';
import {
  filesMissing,
  foreignData,
  ManagerError,
  RetryableError,
  TerminalError,
  unavailableService,
} from '../errors.ts';
import type { DesiredInstance, EffectiveState } from '../instance/types.ts';
import type { ControllerContext } from './controller-context.ts';
import { startServer } from './own-server.ts';
import { logLine, progressReport } from './progress.ts';

const WITHOUT = 'No archive could be written; the data go without one, as a person has confirmed.';

/** Takes the last copy of an instance's data; only once it is verified does the manager hear of it. */
export async function archive(
  desired: DesiredInstance,
  state: EffectiveState,
  change: SubscriptionChange,
  context: ControllerContext,
  stop: AbortSignal,
): Promise<void> {
  const { archives, databases, engine, log, now, reporter } = context;
  const { id, revision } = desired;
  if (!desired.wasReady) {
    await reporter.report({ id, revision, subscription: { ...change, archivedAt: now() } });
    return;
  }
  reporter.progress(progressReport(desired, 'Archiving', now()));
  const write = async () => {
    // An archive of missing files would verify, and would then permit the removal of what is left.
    if ((await engine.observe(desired, state)).data !== 'whole') throw filesMissing();
    const database = await databases.observe(desired, state);
    if (database === 'foreign' || database === 'unmarked') throw foreignData('database');
    if (database === 'offline') await startOwnServer(desired, context, stop);
    return archives.write(desired, stop);
  };
  const written = await write().catch((error: unknown) => {
    if (stop.aborted || !isGivenUp(desired, error)) throw error;
    log.warn({ instance: id, name: desired.name, err: error }, 'goes without an archive');
    return null;
  });
  if (written)
    log.info(
      { instance: id, name: desired.name, archive: written.name, leftOut: written.leftOut },
      'archived',
    );
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
      "The archive could not be written: the instance's own Postgres does not start. Nothing was removed.",
      { cause },
    );
  }
}

/** Whether a person has confirmed that the data may be removed without an archive, and the failure is not a temporary one. */
function isGivenUp({ endsWithoutArchive }: DesiredInstance, error: unknown): boolean {
  const isDockers = error instanceof RetryableError && error.reason.startsWith('Docker');
  const passes = error instanceof ManagerError || isDockers || unavailableService(error) !== null;
  // The data found are another instance's: the confirmation does not cover them.
  const isForeign = error instanceof TerminalError && error.reason === 'ForeignData';
  return endsWithoutArchive && !passes && !isForeign;
}

function archived({ name, leftOut }: { readonly name: string; readonly leftOut: number }): string {
  const rest = `${leftOut} files and folders are not in it: no program can open paths as long as theirs. Its manifest names some.`;
  return [`Archived and verified: ${name}.`, ...(leftOut > 0 ? [rest] : [])].join(' ');
}
