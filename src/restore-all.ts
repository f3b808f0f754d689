import { runJob } from './backup-commands.ts';
import { hasData } from './controller/back-up.ts';
import { isMissing } from './controller/restore-missing.ts';
import { isProven, withKept } from './instance/backup-retention.ts';
import type { DesiredInstance } from './instance/types.ts';
import { printable } from './printable.ts';
import type { Sidecar } from './wiring.ts';

type Parts = Pick<Sidecar, 'backups' | 'engine' | 'install' | 'manager' | 'restoring'>;

/**
 * Restores each instance of which nothing is on this host from its newest proven backup, one after another, by the sidecar that runs: after
 * the manager was restored on an empty machine. What is here already is left alone, so it may be repeated.
 * @param print is given a line for each instance
 * @returns how many were restored, and how many could not be
 */
export async function restoreAll(
  sidecar: Parts,
  print: (line: string) => void,
  stop: AbortSignal,
): Promise<{ readonly restored: number; readonly failed: number }> {
  const { manager } = sidecar;
  const all = await manager.desired([...(await manager.states()).keys()]);
  const counted = { here: 0, restored: 0, failed: 0 };
  for (const desired of all.filter(hasData)) {
    stop.throwIfAborted();
    const outcome = await restoreOne(sidecar, desired, print, stop);
    counted[outcome] += 1;
  }
  return counted;
}

async function restoreOne(
  { backups, engine, install, manager, restoring }: Parts,
  desired: DesiredInstance,
  print: (line: string) => void,
  stop: AbortSignal,
): Promise<'here' | 'restored' | 'failed'> {
  const { id, name } = desired;
  const say = (text: string) => print(printable(`${id} ${name}: ${text}`));
  try {
    if (!(await isMissing(desired, { engine, restoring }))) return 'here';
    if (desired.job) {
      say('something is under way already: the sidecar goes on with it by itself');
      return 'here';
    }
    const known = await backups.store.list(desired, stop);
    const newest = known.filter(isProven).at(-1);
    if (!newest) {
      say(`no proven backup among ${known.length}`);
      return 'failed';
    }
    // The manager was backed up before the last of them, so it may not know of it.
    await manager.reportBackups(id, withKept(known, new Date()), null);
    say(`of ${newest.date.toISOString()} …`);
    const { snapshot } = newest;
    const print = (line: string) => say(line.trim());
    await runJob({ install, manager }, desired, 'restore', snapshot, print, stop);
    say('restored');
    return 'restored';
  } catch (error) {
    if (stop.aborted) throw error;
    say(error instanceof Error ? error.message : String(error));
    return 'failed';
  }
}
