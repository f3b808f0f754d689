import { foreignData, TerminalError } from '../errors.ts';
import { effectiveState } from '../instance/decide.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { Databases, Engine, Manager, RestoreSource, RestoringMarks } from '../interfaces.ts';
import { ensureServer } from './own-server.ts';

/** What a restore where nothing is works with. */
export interface MissingContext {
  readonly engine: Engine;
  readonly databases: Pick<Databases, 'awaitServer' | 'observe' | 'restore'>;
  readonly manager: Pick<Manager, 'assignPorts' | 'desired' | 'restoreStage'>;
  readonly restoring: RestoringMarks;
}

/**
 * Whether nothing of an instance's files and secrets is here, or only what a restore that was cut off has left.
 * @throws TerminalError('ForeignData') where another's are in their place
 */
export async function isMissing(
  desired: DesiredInstance,
  { engine, restoring }: Pick<MissingContext, 'engine' | 'restoring'>,
): Promise<boolean> {
  const seen = await engine.observe(desired, effectiveState(desired, null));
  if (seen.directory === 'foreign' || seen.directory === 'unmarked') throw foreignData('directory');
  if ((await restoring.begun(desired)) !== null) return true;
  return seen.data === 'absent';
}

/**
 * Whether the shared server has its database: one on a server of its own would be among its files.
 * @throws TerminalError('ForeignData') where it is another's
 */
async function hasDatabase(
  desired: DesiredInstance,
  databases: MissingContext['databases'],
): Promise<boolean> {
  const database = await databases.observe(desired, 'purged');
  if (database === 'foreign' || database === 'unmarked') throw foreignData('database');
  return database !== 'absent';
}

/**
 * Makes an instance of which nothing is here from a backup or an archive. Killed at any step it can be repeated: the database has the
 * instance's name last of all, and until then nothing of it is started.
 *
 * One whose data were removed, or that never had any, is a draft in Odoo until it is complete, and stopped then. Any other keeps its
 * desired state: the next reconcile starts it.
 * @returns false: a restore of something else was complete but for its end, which it has now; nothing was restored from this source
 * @throws TerminalError('NoFreePorts'), ('DatabaseExists'), ('ForeignData')
 */
export async function restoreMissing(
  { id }: Pick<DesiredInstance, 'id'>,
  source: RestoreSource,
  context: MissingContext,
  signal: AbortSignal,
): Promise<boolean> {
  const { databases, engine, manager, restoring } = context;
  const found = await existing(id, context);
  const begun = await restoring.begun(found);
  if (begun !== null && (await isComplete(found, context, signal))) {
    // It was cut off after everything was restored, and may have been started since.
    if (found.desiredState === 'draft') await manager.restoreStage(id, found.templateCode, 'end');
    await restoring.end(found);
    return begun === source.name || begun === '';
  }
  // Nothing in Odoo changes for what cannot be done.
  if (begun === null && (await hasDatabase(found, databases)))
    throw new TerminalError('DatabaseExists', `Instance ${id} has its database already.`);
  // On a new host the addons are not there yet, and without them no file can be rendered.
  await engine.fetchRepositories(found, signal);
  const isDraft = found.subscription?.dataRemovedAt != null || found.desiredState === 'draft';
  // Before anything of it is here: what Odoo has removed would be removed again.
  if (isDraft) await manager.restoreStage(id, source.template, 'begin');
  await restoring.begin(found, source.name);
  await source.placeSecrets(found, signal);
  const desired = await withPorts(id, context);
  // It has not run here yet, so what the source does not hold is made.
  await engine.render({ ...desired, wasReady: false });
  await source.placeFiles(desired, signal);
  await ensureServer(desired, context, signal);
  const { identity, id: number } = source.owner;
  const isCopy = identity ? identity !== desired.identity : number !== id;
  await databases.restore(desired, { isCopy, url: source.url }, (server, login) =>
    source.fill(server, login, signal),
  );
  if (isDraft) await manager.restoreStage(id, source.template, 'end');
  await restoring.end(desired);
  return true;
}

/** Whether a restore that was cut off had all of the data in place. Its own Postgres, where it has one, is started to see that. */
async function isComplete(
  desired: DesiredInstance,
  context: MissingContext,
  signal: AbortSignal,
): Promise<boolean> {
  const { databases, engine } = context;
  // Before its secrets are there nobody enters a database, and making them would be in the way of those of the source.
  if ((await engine.observe(desired, 'running')).data !== 'whole') return false;
  await ensureServer(desired, context, signal);
  return (await databases.observe(desired, 'running')) === 'ready';
}

async function existing(id: number, { manager }: MissingContext): Promise<DesiredInstance> {
  const [desired] = await manager.desired([id]);
  if (desired) return desired;
  throw new TerminalError('BackupGone', `Odoo does not know instance ${id} any more.`);
}

/** Assigns ports if a removal has freed them. */
async function withPorts(id: number, context: MissingContext): Promise<DesiredInstance> {
  const desired = await existing(id, context);
  if (desired.ports !== null) return desired;
  const ports = await context.manager.assignPorts(desired, []);
  if (ports !== null) return { ...desired, ports };
  throw new TerminalError('NoFreePorts', 'No free pair of ports is left: try again later.');
}
