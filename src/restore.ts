import type { Config } from './config.ts';
import { ConfigError, TerminalError } from './errors.ts';
import { effectiveState } from './instance/decide.ts';
import type { DesiredInstance } from './instance/types.ts';
import { assemble, type Sidecar } from './wiring.ts';

/**
 * Restores an archived instance, under its own id or that of another one that has never run. It is stopped afterwards.
 * An interrupted restore can be repeated, whichever buttons were pressed meanwhile: until it is complete the instance is a draft,
 * which the running sidecar leaves alone, and one that a person starts stalls because its database is missing.
 * @param target the other instance's id, null for its own
 * @returns the instance's id
 * @throws ConfigError when that instance has data; TerminalError('ArchiveDamaged')
 */
export async function restore(
  config: Config,
  name: string,
  target: number | null,
  signal: AbortSignal,
): Promise<number> {
  const sidecar = await assemble(config);
  const { archives, databases, manager, tools } = sidecar;
  const archive = await archives.read(name);
  const id = target ?? archive.instance;
  const found = await existing(sidecar, id);
  const state = effectiveState(found, null);
  // After a restore of Odoo's own database the id may be another customer's.
  if (target === null && archive.identity && archive.identity !== found.identity)
    throw new ConfigError(
      `archive ${name}: expected that of instance ${id}, found that of another one which had this number before. Make an instance for its customer and restore it there: --as <number>`,
    );
  if (!(await archives.isRestoring(id))) refuseData(found);
  // Interrupted before its files were unpacked, it has no password yet to enter its database with.
  else if (
    (await sidecar.engine.observe(found, state)).data === 'whole' &&
    (await databases.observe(found, state)) === 'ready'
  ) {
    // It was interrupted after everything was restored, and may have been started since.
    if (found.desiredState === 'draft') await manager.restore(id, archive.template, 'end');
    await archives.endRestore(id);
    return id;
  }
  // The identity mark comes first: beginRestore() leaves a file in the directory, and files without a mark count as foreign.
  await sidecar.marks.claim(found);
  await archives.beginRestore(id);
  await manager.restore(id, archive.template, 'begin');
  await archives.unpack(archive, id, signal);
  const desired = await withPorts(sidecar, id);
  // It has not run here yet, so what the archive does not hold is created.
  await sidecar.engine.render({ ...desired, wasReady: false });
  if (sidecar.templates.get(desired.templateCode).database === 'own') {
    await sidecar.engine.startDatabase(desired, signal);
    await databases.awaitServer(desired, signal);
  }
  await databases.restore(desired, { isCopy: id !== archive.instance }, ({ socketDir }, login) =>
    tools.restore({ ...login, socketDir }, archive.dump, signal),
  );
  await manager.restore(id, archive.template, 'end');
  await archives.endRestore(id);
  return id;
}

async function existing({ manager }: Sidecar, id: number): Promise<DesiredInstance> {
  const [desired] = await manager.desired([id]);
  if (desired) return desired;
  throw new ConfigError(`instance ${id}: expected one that Odoo knows, found none`);
}

/** Data are never overwritten. A draft has none, also after an interrupted restore. */
function refuseData({ desiredState, id, subscription }: DesiredInstance): void {
  if (subscription?.dataRemovedAt || desiredState === 'draft') return;
  throw new ConfigError(
    `instance ${id}: expected one whose data were removed, or that has never been started; found one with data of its own`,
  );
}

/** Assigns ports if a removal has freed them. */
async function withPorts(sidecar: Sidecar, id: number): Promise<DesiredInstance> {
  const { manager } = sidecar;
  const desired = await existing(sidecar, id);
  if (desired.ports !== null) return desired;
  const ports = await manager.assignPorts(desired, []);
  if (ports === null)
    throw new TerminalError('NoFreePorts', 'No free pair of ports is left: try again later.');
  return { ...desired, ports };
}
