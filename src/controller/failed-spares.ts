import { ManagerError, unavailableService } from '../errors.ts';
import type { FailureReason } from '../instance/reasons.ts';
import type { Clock } from '../interfaces.ts';

/** How long no spare is made of what one could not be made of: each try has the processors that customers' instances need. */
const REST_MS = 24 * 60 * 60_000;

/** What says nothing of what a spare is made of: the host's state, or another's data under its number. */
const OF_THE_HOST: ReadonlySet<unknown> = new Set<FailureReason>([
  ...(['DatabaseBusy', 'DockerFailed', 'DockerRefused', 'ForeignData', 'ImageMissing'] as const),
  ...(['NoFreePorts', 'NotEnoughDisk', 'NotEnoughInodes', 'NotEnoughMemory'] as const),
  ...(['PortTaken', 'RepositoryUnreachable'] as const),
]);

/** Of which plans, as they are, no spare could be made lately. In memory alone: a sidecar that was restarted tries again. */
export class FailedSpares {
  readonly #now: Clock;
  readonly #failedAt = new Map<string, number>();

  constructor(now: Clock) {
    this.#now = now;
  }

  /** @param content the plan's spareContent: what was changed since is another */
  record(content: string): void {
    this.#failedAt.set(content, this.#now().getTime());
  }

  /** Whether a spare of this content could not be made within the last day. */
  has(content: string): boolean {
    const failedAt = this.#failedAt.get(content);
    return failedAt !== undefined && this.#now().getTime() - failedAt < REST_MS;
  }
}

/** Whether what kept a spare from being made would do so again an hour later. Pure. */
export function isOfItsContent(error: unknown): boolean {
  if (error instanceof ManagerError || unavailableService(error) !== null) return false;
  return !OF_THE_HOST.has((error as { readonly reason?: unknown }).reason);
}
