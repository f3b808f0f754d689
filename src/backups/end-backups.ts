import { RetryableError, TerminalError } from '../errors.ts';
import { isProven } from '../instance/backup-retention.ts';
import type { FailureReason } from '../instance/reasons.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { Archives, Backup, Clock } from '../interfaces.ts';
import type { ArchiveStore } from './archives.ts';
import type { BackupStore } from './backup-store.ts';
import { endingOf } from './ending.ts';

export interface EndBackupsOptions {
  readonly store: Pick<BackupStore, 'forgetOld' | 'list' | 'prove' | 'take'>;
  /** Ends what is left of an instance's connections to its database: they may hold locks. */
  readonly disconnect: (desired: DesiredInstance) => Promise<void>;
  /** What an earlier version has written, maybe a moment before it was replaced by this one. */
  readonly archives: Pick<ArchiveStore, 'has'>;
  readonly now: Clock;
}

/**
 * The last copy of an instance's data before they are removed: a backup as any other, in the same repository, with a tag that says of which end
 * it is. What was done is in the repository alone, so it goes on wherever a kill has cut it off.
 */
export class EndBackups implements Archives {
  readonly #options: EndBackupsOptions;

  constructor(options: EndBackupsOptions) {
    this.#options = options;
  }

  async write(
    desired: DesiredInstance,
    signal: AbortSignal,
  ): Promise<{ readonly name: string; readonly leftOut: number }> {
    const { store } = this.#options;
    const known = await this.#ofThisEnd(desired, signal);
    const proven = known.findLast(isProven);
    if (proven) return named(proven);
    try {
      // One that has failed its proof fails it again, but what was in its way may have been mended in the instance since.
      const untried = known.findLast(({ proof }) => proof === 'none');
      const backup = untried ?? (await this.#take(desired, signal));
      // Odoo is not started with it: the data are whole without that.
      await store.prove(desired, backup.snapshot, { boots: false }, signal);
      return named(backup);
    } catch (error) {
      signal.throwIfAborted();
      throw asTerminal(error);
    }
  }

  async verify(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    if ((await this.#ofThisEnd(desired, signal)).some(isProven)) return;
    if (await this.#options.archives.has(desired)) return;
    throw new TerminalError('BackupGone', 'The last backup is not there, or is not proven.');
  }

  async #take(desired: DesiredInstance, signal: AbortSignal): Promise<Backup> {
    const { disconnect, now, store } = this.#options;
    const ending = endingOf(desired);
    await disconnect(desired);
    await store.take(desired, { isByHand: false, ending }, signal);
    // Of those that have failed, the last is enough, however many days it goes on.
    const left = await store.forgetOld(desired, now(), signal);
    const taken = left.findLast((one) => one.ending === ending);
    if (!taken) throw new TerminalError('BackupGone', 'The last backup is not in its repository.');
    return taken;
  }

  async #ofThisEnd(desired: DesiredInstance, signal: AbortSignal): Promise<Backup[]> {
    const ending = endingOf(desired);
    const known = await this.#options.store.list(desired, signal);
    return known.filter((one) => one.ending === ending);
  }
}

function named({ leftOut = 0, snapshot }: Backup) {
  return { name: snapshot, leftOut };
}

/** What is in the way lies in the data: the next attempt, which takes as long, would fail as well. */
const OF_THE_DATA: ReadonlySet<FailureReason> = new Set([
  'BackupDamaged',
  'BackupFailed',
  'BackupTooLarge',
  'BackupTooSlow',
  'DatabaseBusy',
  'TenantDatabase',
]);

function asTerminal(error: unknown): unknown {
  if (!(error instanceof RetryableError) || !OF_THE_DATA.has(error.reason)) return error;
  const { detail, message, reason } = error;
  return new TerminalError(reason, message, { cause: error, detail });
}
