import { setTimeout as sleep } from 'node:timers/promises';
import { InterruptedError, TerminalError, UsageError } from './errors.ts';
import { isProven } from './instance/backup-retention.ts';
import type { DesiredInstance, Job } from './instance/types.ts';
import type { Backup, ExportProgress } from './interfaces.ts';
import { printable } from './printable.ts';
import type { Sidecar } from './wiring.ts';

/** What the command says when each part of an export begins. */
export const EXPORT_STEPS: Readonly<Record<ExportProgress, string>> = {
  FetchingBackup: 'Fetching the backup.',
  ReadingBackup: 'Restoring it elsewhere.',
  WritingExport: 'Writing the zip.',
};

/** How often a job is asked how far it is, in milliseconds. */
const ASK_MS = 500;

/** How often Odoo is asked whether it hears of the sidecar, in milliseconds. */
const LISTEN_MS = 15_000;

/** A sidecar that runs asks Odoo what is due each half minute, and Odoo notes that once a minute, in seconds. */
const SILENT_S = 3 * 60;

type Asked = Pick<Sidecar, 'install' | 'manager'>;

/**
 * Asks Odoo for a job, which the running sidecar then does, and waits until it has ended. What is under way is printed, and that no sidecar
 * runs that would do it.
 * @param stop ends the wait, and not the job
 * @throws TerminalError when it failed, with the sentence that Odoo shows; InterruptedError
 */
export async function runJob(
  { install, manager }: Asked,
  { id }: Pick<DesiredInstance, 'id'>,
  kind: Job['kind'],
  snapshot: string,
  print: (line: string) => void,
  stop: AbortSignal,
): Promise<void> {
  stop.throwIfAborted();
  const job = await manager.askForJob(id, kind, snapshot);
  const pause = pauses({ install, manager }, `Job ${job}`, id, print, stop);
  let said = '';
  for (;;) {
    const { message, percent, state } = await manager.jobProgress(job);
    if (state === 'done') return;
    if (state === 'failed') throw new TerminalError('BackupFailed', printable(message));
    if (message !== said) print(`${String(percent).padStart(3)} %  ${printable(message)}`);
    said = message;
    await pause();
  }
}

/**
 * Asks Odoo for a staging copy, which the running sidecar then makes, and waits until it answers. What is under way is printed, and that
 * no sidecar runs that would make it.
 * @param stop ends the wait, and not the making
 * @returns the copy
 * @throws TerminalError when it cannot be made, with the reason that Odoo shows a sentence for; InterruptedError
 */
export async function makeStaging(
  { install, manager }: Asked,
  { id }: Pick<DesiredInstance, 'id'>,
  snapshot: string,
  print: (line: string) => void,
  stop: AbortSignal,
): Promise<DesiredInstance> {
  stop.throwIfAborted();
  const copy = await manager.askForStaging(id, snapshot);
  const pause = pauses({ install, manager }, `The copy, instance ${copy},`, copy, print, stop);
  let said = '';
  for (;;) {
    const [desired] = await manager.desired([copy]);
    if (!desired || desired.desiredState === 'removed')
      throw new TerminalError('BackupFailed', `instance ${copy} was removed meanwhile`);
    if (desired.state === 'running') return desired;
    if (desired.state === 'error')
      throw new TerminalError('BackupFailed', `instance ${copy}: ${desired.reason}`);
    if (desired.reason && desired.reason !== said) print(desired.reason);
    said = desired.reason;
    await pause();
  }
}

/**
 * A pause between two questions how far something is; in the first, and then now and then, Odoo is asked whether a sidecar runs.
 * @param what is waited for, as a sentence begins
 * @param id of the instance that shows it
 */
function pauses(
  { install, manager }: Asked,
  what: string,
  id: number,
  print: (line: string) => void,
  stop: AbortSignal,
): () => Promise<void> {
  let listenedAt = Number.NEGATIVE_INFINITY;
  let isSaid = false;
  return async () => {
    if (performance.now() - listenedAt >= LISTEN_MS) {
      const { heardAt, now } = await manager.handshake(install);
      const isSilent = heardAt !== null && now - heardAt > SILENT_S;
      if (isSilent && !isSaid)
        print(
          `No sidecar has answered Odoo ${heardAt === 0 ? 'so far' : `since ${new Date(heardAt * 1000).toISOString()}`}: ${what} waits until one runs. Ctrl-C leaves it waiting.`,
        );
      isSaid = isSilent;
      listenedAt = performance.now();
    }
    await sleep(ASK_MS, undefined, { signal: stop }).catch(() => {
      throw new InterruptedError(
        `interrupted. ${what} stays, and the sidecar goes on with it: microsaas status ${id} shows it, and so does the instance in Odoo`,
      );
    });
  };
}

/**
 * The backup that an operator means.
 * @param text how its id begins, or `latest`: the newest that was proven
 * @throws UsageError where there is none, or several begin so
 */
export function findBackup(text: string, backups: readonly Backup[]): Backup {
  const fits = (one: Backup) => (text === 'latest' ? isProven(one) : one.snapshot.startsWith(text));
  const found = backups.filter(fits);
  const [newest] = found.slice(-1);
  if (newest && (text === 'latest' || found.length === 1)) return newest;
  throw new UsageError(
    `backup ${text}: expected one of the instance's, by the beginning of its id, or latest; found ${found.length}. microsaas backups <instance> lists them`,
  );
}

/** A table of backups, newest first. */
export function backupTable(backups: readonly Backup[]): string {
  const rows = [...backups]
    .reverse()
    .map(({ bytes, date, proof, reason, snapshot }) =>
      [
        snapshot.slice(0, 12),
        date.toISOString().slice(0, 16).replace('T', ' '),
        `${(bytes / 2 ** 20).toFixed(1)} MB`.padStart(12),
        proof === 'none'
          ? 'not proven'
          : proof === 'failed'
            ? `failed: ${reason}`
            : `proven (${proof})`,
      ].join('  '),
    );
  return rows.length > 0 ? `${rows.join('\n')}\n` : 'none yet\n';
}
