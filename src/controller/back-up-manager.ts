import { ManagerError } from '../errors.ts';
import {
  type BackupFacts,
  dueByRepository,
  factsOf,
  lastNight,
} from '../instance/backup-policy.ts';
import type { Backup, Clock, Manager, ManagerBackups } from '../interfaces.ts';
import type { Logger } from '../log.ts';
import { failureOf } from './back-up.ts';

export interface ManagerBackupContext {
  readonly store: ManagerBackups;
  readonly manager: Pick<Manager, 'reportManagerBackups'>;
  readonly now: Clock;
  readonly log: Logger;
  /** When there first was something to back up, in seconds since the epoch: that waits for its first night. */
  readonly since: number;
  /** Runs `work` unless another process of this host backs the manager up. @throws ConfigError then */
  readonly withLock: <T>(work: () => Promise<T>) => Promise<T>;
}

/**
 * Makes what is due of the manager's own backups and tells Odoo what there is. What goes wrong is told too, so it is no failure of the
 * work: the next is in an hour.
 * @param time of the day at which the night begins, `HH:MM`; null: somebody asks for a backup now
 * @param lastFailureAt in seconds since the epoch; 0: none is known of
 * @returns what there is now, so that the repository need not be asked before the next is due; and what went wrong, or null
 */
export async function backUpManager(
  context: ManagerBackupContext,
  time: string | null,
  lastFailureAt: number,
  stop: AbortSignal,
): Promise<{ readonly facts: BackupFacts; readonly failure: unknown }> {
  const { log, manager, now, since, store, withLock } = context;
  return withLock(async () => {
    let known: readonly Backup[] = [];
    let failure: unknown = null;
    try {
      known = await store.list(stop);
      const due = time === null ? 'backup' : dueOf(known, lastFailureAt, time, since, now());
      if (due === 'backup') {
        await store.take({ isByHand: time === null }, stop);
        known = await store.list(stop);
      }
      if (due !== null) {
        await store.prove(known.at(-1)?.snapshot ?? '', stop);
        known = await store.forgetOld(now(), stop);
      }
    } catch (error) {
      stop.throwIfAborted();
      log.error({ err: error }, 'no backup of the manager, or none that is whole');
      failure = error;
      known = await store.list(stop).catch(() => known);
    }
    const said = failure === null ? brokenOf(known.at(-1)) : failureOf(failure);
    const facts = factsOf(known, said === null ? 0 : now().getTime() / 1000);
    await manager.reportManagerBackups(facts, said).catch((error) => {
      // The next report says it: what was made is made.
      if (!(error instanceof ManagerError)) throw error;
      log.warn({ err: error }, 'the backup of the manager not reported');
    });
    return { facts, failure };
  });
}

/** What is wrong with a backup that an earlier proof has found. */
function brokenOf(newest: Backup | undefined) {
  if (newest?.proof !== 'failed') return null;
  const { detail, reason } = newest;
  return { reason: reason || 'Unexpected', detail } as const;
}

function dueOf(
  known: readonly Backup[],
  lastFailureAt: number,
  time: string,
  since: number,
  now: Date,
) {
  const night = lastNight(time, now).getTime() / 1000;
  return dueByRepository(known, lastFailureAt, night, now.getTime() / 1000, since);
}
