import { setTimeout as sleep } from 'node:timers/promises';
import { requireYes } from './confirmation.ts';
import type { Logger } from './log.ts';
import { managerBackups, type Sidecar } from './wiring.ts';

/** How often it is asked whether this host has taken over again, in milliseconds. */
const ASK_MS = 10_000;

/**
 * Returns once this host is the one that works for its install. One that came back to life after another has taken over stops what it has
 * of the same customers, once, and waits: for `microsaas take-over`, or its end. Where the repository does not say, nothing is known of
 * another host, and customers go first.
 */
export async function waitForOwnHost(
  { api, backups, install }: Pick<Sidecar, 'api' | 'backups' | 'install'>,
  log: Logger,
  stop: AbortSignal,
): Promise<void> {
  let hasStopped = false;
  for (;;) {
    const replaced = await backups.claim.replaced(stop).catch((err: unknown) => {
      stop.throwIfAborted();
      log.warn({ err }, 'the backups do not say whether another host works for this install');
      return null;
    });
    if (!replaced) {
      if (hasStopped) log.info('this host works for the install again');
      return;
    }
    if (!hasStopped) {
      log.error({ err: replaced }, replaced.message);
      // The manager too: it mails to the same customers.
      const mine = `microsaas.install=${install}`;
      const all = [
        ...(await api.containers([mine, 'microsaas.instance'])),
        ...(await api.containers([mine, 'microsaas.part=manager'])),
      ];
      await Promise.all(all.map(({ id }) => api.stop(id, stop)));
    }
    hasStopped = true;
    await sleep(ASK_MS, undefined, { signal: stop });
  }
}

/**
 * Makes this host the one that works for its install. Any other one stops once it finds that: at its sidecar's next start, or in the night.
 * @throws UsageError unless it was confirmed, where another host works for it; RetryableError where the repository is away; ConfigError while
 *   the manager is backed up or restored on this host, which uses the same folders
 */
export async function takeOver(
  sidecar: Pick<Sidecar, 'backups' | 'dataDir' | 'install'>,
  isConfirmed: boolean,
  stop: AbortSignal,
): Promise<void> {
  const { claim } = sidecar.backups;
  const replaced = await claim.replaced(stop);
  if (replaced)
    requireYes(
      isConfirmed,
      `${replaced.message}. Be sure that the other one is off: it would go on until its next night`,
    );
  await managerBackups(sidecar).withLock(() => claim.claim(stop));
}
