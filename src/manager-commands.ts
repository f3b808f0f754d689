import { backupTable, findBackup } from './backup-commands.ts';
import { backUpManager } from './controller/back-up-manager.ts';
import { ConfigError } from './errors.ts';
import type { Logger } from './log.ts';
import { managerBackups, type Sidecar } from './wiring.ts';

/** What the commands call the manager itself; an instance of this name has its number. */
export const MANAGER = 'manager';

/** A table of the manager's own backups, newest first. */
export async function listManagerBackups(sidecar: Sidecar): Promise<string> {
  const { ofManager } = required(sidecar);
  return backupTable(await ofManager.list(new AbortController().signal));
}

/**
 * Backs the manager up, by this process and not by the sidecar that runs: where Odoo is broken too.
 * @returns the backup's line
 * @throws what went wrong
 */
export async function backUpManagerNow(
  sidecar: Sidecar,
  log: Logger,
  stop: AbortSignal,
): Promise<string> {
  const backups = required(sidecar);
  const { manager } = sidecar;
  const context = { ...managerBackups(sidecar, backups), manager, log, now: () => new Date() };
  const { failure } = await backUpManager(context, null, 0, stop);
  await backups.store.close();
  if (failure) throw failure;
  return backupTable((await backups.ofManager.list(stop)).slice(-1));
}

/** Restores a backup of the manager elsewhere, and compares. @throws TerminalError saying what is wrong with it */
export async function proveManager(
  sidecar: Sidecar,
  text: string,
  stop: AbortSignal,
): Promise<void> {
  const backups = required(sidecar);
  const { store, withLock } = managerBackups(sidecar, backups);
  const { snapshot } = findBackup(text, await store.list(stop));
  await withLock(() => store.prove(snapshot, stop)).finally(() => backups.store.close());
}

/** @throws ConfigError where none are made */
function required({ backups }: Sidecar): NonNullable<Sidecar['backups']> {
  if (!backups) throw new ConfigError('backups.enabled: expected true, found false');
  return backups;
}
