import { findBackup } from './backup-commands.ts';
import type { Config } from './config.ts';
import { restoreMissing } from './controller/restore-missing.ts';
import { ConfigError, UsageError } from './errors.ts';
import { lockRestores } from './install-id.ts';
import type { DesiredInstance } from './instance/types.ts';
import type { Backup, ForeignPlace, RestoreSource } from './interfaces.ts';
import { printable } from './printable.ts';
import { assemble, type Sidecar } from './wiring.ts';

/**
 * Restores an instance from an archive of an earlier version, under its own id or that of another one that has never run. It is stopped afterwards.
 * An interrupted restore can be repeated, whichever buttons were pressed meanwhile: until it is complete the instance is a draft,
 * which the running sidecar leaves alone, and one that a person starts stalls because its database is missing.
 * @param target the other instance's id, null for its own
 * @returns the instance's id
 * @throws UsageError for what is called as no archive is; ConfigError when that instance has data; TerminalError('ArchiveDamaged')
 */
export async function restore(
  config: Config,
  name: string,
  target: number | null,
  signal: AbortSignal,
): Promise<number> {
  if (!/^\d+-\d/.test(name))
    throw new UsageError(
      `restore ${printable(name)}: expected a backup too, by the beginning of its id, or latest; found none. microsaas backups ${printable(name)} lists them`,
    );
  const { databases, engine, manager, oldArchives, restoring } = await assemble(config);
  const archive = await oldArchives.read(name);
  const id = target ?? archive.instance;
  const [found] = await manager.desired([id]);
  if (!found) throw new ConfigError(`instance ${id}: expected one that Odoo knows, found none`);
  // After a restore of Odoo's own database the id may be another customer's.
  if (target === null && archive.identity && archive.identity !== found.identity)
    throw new ConfigError(
      `archive ${name}: expected that of instance ${id}, found that of another one which had this number before. Make an instance for its customer and restore it there: --as <number>`,
    );
  if ((await restoring.begun(found)) === null) refuseData(found);
  const context = { databases, engine, manager, restoring };
  await restoreMissing(found, oldArchives.sourceOf(name, archive), context, signal);
  return id;
}

/**
 * Gives an instance that has never been started, or whose data were removed, the data of one of another install, from a copy of its
 * repository. It is stopped afterwards. Interrupted, it can be repeated with the same backup.
 * @param text how the backup's id begins, or `latest`
 * @throws ConfigError when the instance has data, or no backup is there; TerminalError('BackupOdooNewer'), ('BackupDamaged')
 */
export async function restoreForeign(
  sidecar: Sidecar,
  desired: DesiredInstance,
  { text, ...place }: ForeignPlace & { readonly text: string },
  signal: AbortSignal,
): Promise<void> {
  const choose = (found: readonly Backup[]) => findBackup(text, found);
  await restoreInto(desired, sidecar, (work) =>
    sidecar.backups.foreign.fetched(desired, place, choose, signal, work),
  );
}

/**
 * Makes another instance, one that has never run, from an instance's backup: a customer's data under another number, with secrets of its own.
 * It is stopped afterwards, and an interrupted one can be repeated, as above.
 * @throws ConfigError when that instance has data
 */
export async function restoreAs(
  sidecar: Sidecar,
  of: DesiredInstance,
  snapshot: string,
  target: DesiredInstance,
  signal: AbortSignal,
): Promise<void> {
  await restoreInto(target, sidecar, (work) =>
    sidecar.backups.restoresByHand.fetched(of, snapshot, signal, work),
  );
}

/** Has a backup fetched, and an instance made from it that has no data of its own. @throws ConfigError when it has */
async function restoreInto(
  target: DesiredInstance,
  { databases, engine, install, manager, restoring }: Sidecar,
  fetched: (
    work: (source: RestoreSource, signal: AbortSignal) => Promise<boolean>,
  ) => Promise<boolean>,
): Promise<void> {
  if ((await restoring.begun(target)) === null) refuseData(target);
  const context = { databases, engine, manager, restoring };
  const release = await lockRestores(install);
  await fetched((source, bounded) => restoreMissing(target, source, context, bounded)).finally(
    release,
  );
}

/** Data are never overwritten. A draft has none, also after an interrupted restore. */
function refuseData({ desiredState, id, subscription }: DesiredInstance): void {
  if (subscription?.dataRemovedAt || desiredState === 'draft') return;
  throw new ConfigError(
    `instance ${id}: expected one whose data were removed, or that has never been started; found one with data of its own`,
  );
}
