import { backupTable, findBackup } from './backup-commands.ts';
import { requireYes } from './confirmation.ts';
import { backUpManager } from './controller/back-up-manager.ts';
import { instanceIdsOnHost } from './controller/manager-check.ts';
import type { Logger } from './log.ts';
import { managerBackups, type Sidecar } from './wiring.ts';

/** What the commands call the manager itself; an instance of this name has its number. */
export const MANAGER = 'manager';

/** A table of the manager's own backups, newest first. */
export async function listManagerBackups(sidecar: Sidecar): Promise<string> {
  return backupTable(await sidecar.backups.ofManager.list(new AbortController().signal));
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
  const { backups, manager } = sidecar;
  const context = { ...managerBackups(sidecar), manager, log, now: () => new Date() };
  const { failure } = await backUpManager(context, null, 0, stop);
  await backups.ofManager.close();
  if (failure) throw failure;
  return backupTable((await backups.ofManager.list(stop)).slice(-1));
}

/** Restores a backup of the manager elsewhere, and compares. @throws TerminalError saying what is wrong with it */
export async function proveManager(
  sidecar: Sidecar,
  text: string,
  stop: AbortSignal,
): Promise<void> {
  const { backups } = sidecar;
  const { store, withLock } = managerBackups(sidecar);
  const { snapshot } = findBackup(text, await store.list(stop));
  await withLock(() => store.prove(snapshot, stop)).finally(() => backups.ofManager.close());
}

/**
 * Puts a backup in the place of the manager's database and files; its Odoo is stopped for some seconds.
 * @param print is given what is under way, and at the end what is left for a person
 * @throws UsageError unless it was confirmed
 */
export async function restoreTheManager(
  sidecar: Sidecar,
  text: string,
  isConfirmed: boolean,
  print: (line: string) => void,
  stop: AbortSignal,
): Promise<void> {
  const { backups } = sidecar;
  const { store, withLock } = managerBackups(sidecar);
  const { date, snapshot } = findBackup(text, await store.list(stop));
  requireYes(
    isConfirmed,
    `the manager: all that was done in it since ${date.toISOString()} would leave it`,
  );
  const { before, configuration } = await withLock(() =>
    backups.restoreManager(snapshot, print, stop),
  );
  // On an empty host there is nothing that could be another manager's; else `reconcile-host` asks.
  const { databases, engine, managerMemory } = sidecar;
  if ((await instanceIdsOnHost({ databases, engine })).length === 0) await managerMemory.forget();
  print(`Restored: the manager of ${date.toISOString()}.`);
  if (before)
    print(`What was there is kept as the database ${before}, and in the filestore of that name.`);
  print(`The configuration of the host that was backed up is in ${configuration}.`);
}
