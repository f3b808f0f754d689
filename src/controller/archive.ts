import { foreignData } from '../errors.ts';
import type { SubscriptionChange } from '../instance/subscription-types.ts';
import type { DesiredInstance } from '../instance/types.ts';
import { logLine, progressReport } from './progress.ts';
import type { World } from './world.ts';

/** Takes the last copy of an instance's data; only once it is verified does the manager hear of it. */
export async function archive(
  desired: DesiredInstance,
  change: SubscriptionChange,
  world: World,
  stop: AbortSignal,
): Promise<void> {
  const { archives, engine, databases, log, now, reporter } = world;
  const { id, revision } = desired;
  if (!desired.wasReady) {
    await reporter.report({ id, revision, subscription: { ...change, archivedAt: now() } });
    return;
  }
  reporter.progress(progressReport(desired, 'Archiving', now()));
  const database = await databases.observe(desired);
  if (database === 'foreign' || database === 'unmarked') throw foreignData('database');
  if (database === 'offline') {
    // Its own Postgres was stopped with it; the next look stops it again.
    await engine.startDatabase(desired, stop);
    await databases.awaitServer(desired, stop);
  }
  const name = await archives.write(desired, stop);
  log.info({ instance: id, name: desired.name, archive: name }, 'archived');
  await reporter.report({
    id,
    revision,
    subscription: { ...change, archivedAt: now(), archive: name },
    log: [logLine(now(), `Archived and verified: ${name}.`)],
  });
}
