import {
  isDiskFull,
  ManagerError,
  notEnoughDisk,
  RetryableError,
  TerminalError,
} from '../errors.ts';
import type { DesiredInstance, EffectiveState, Report } from '../instance/types.ts';
import type { ControllerContext } from './controller-context.ts';
import { nextReview } from './final-report.ts';
import { logLine } from './progress.ts';

/** When a sidecar that is started afresh takes up again what is to be retried, in milliseconds. */
const RETRY_AFTER_RESTART_MS = 60_000;

const DAY_MS = 24 * 60 * 60_000;

/**
 * Says in Odoo what went wrong. While Odoo itself is away that cannot be said, and the queue tries again.
 * @param state the effectiveState() of `desired`
 * @param options `isNews`: the first failure in a row; `reviewAt`: when its subscription is to be decided again
 */
export async function reportFailure(
  desired: DesiredInstance,
  state: EffectiveState,
  thrown: unknown,
  context: ControllerContext,
  { isNews, reviewAt }: { readonly isNews: boolean; readonly reviewAt: Date | null },
): Promise<void> {
  if (thrown instanceof ManagerError && thrown.retryable) return;
  // A full disk causes many different errors: all are reported as NotEnoughDisk.
  const isFull = !(thrown instanceof TerminalError) && isDiskFull(thrown);
  const error = isFull ? notEnoughDisk(await context.disk.shortage(), thrown) : thrown;
  const reasoned = error instanceof TerminalError || error instanceof RetryableError ? error : null;
  const isTerminal = error instanceof TerminalError;
  const message =
    reasoned?.message ?? 'Something unexpected happened. The operator finds it in the log.';
  // Nobody presses Start on what is being stopped or removed.
  const isLeaving = isTerminal && state !== 'running';
  const tomorrow = new Date(context.now().getTime() + DAY_MS);
  const again = isLeaving
    ? 'It is tried again once a day.'
    : isTerminal
      ? 'Press Start to try again.'
      : 'It is tried again by itself.';
  const retryAt = new Date(context.now().getTime() + RETRY_AFTER_RESTART_MS);
  const report: Report = {
    id: desired.id,
    revision: desired.revision,
    state: 'error',
    reason: reasoned?.reason ?? 'Unexpected',
    detail: reasoned?.detail ?? '',
    ...(state === 'running' && desired.isAsleep ? { isAsleep: false } : {}),
    // A sidecar that starts afresh finds it by the poll; until then the work queue brings it back.
    nextReview: isTerminal
      ? nextReview(desired, reviewAt ?? (isLeaving ? tomorrow : null), context.now())
      : retryAt,
    ...(isNews ? { log: [logLine(context.now(), `${message} ${again}`)] } : {}),
  };
  const delivered = context.reporter.report(report);
  context.activity?.reported(desired, report);
  // A terminal failure that was not delivered is tried again; the others come up again anyway.
  if (isTerminal) await delivered;
  else
    await delivered.catch((err) =>
      context.log.warn({ instance: desired.id, err }, 'failure not reported'),
    );
}
