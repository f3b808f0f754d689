import { ConfigError } from '../errors.ts';

/** Folders in which backups are restored, dumped and compared, and what else a killed process has left of it. */
export interface Workplace {
  /** Removes all that is in them: there are customers' data, as plain as they can be. */
  readonly sweep: () => Promise<void>;
  /** Taken by each process that works in them; null: the sidecar alone does. @throws ConfigError while another has it */
  readonly lock: (() => Promise<() => void>) | null;
}

/**
 * Removes what killed processes have left. What a command of another process is at now is left alone.
 * @param onError is told what could not be removed: that is no reason to leave the rest
 */
export async function sweepLeftovers(
  places: readonly Workplace[],
  onError: (error: unknown) => void,
): Promise<void> {
  for (const { lock, sweep } of places) {
    try {
      const release = await lock?.();
      await sweep().finally(release);
    } catch (error) {
      if (!(error instanceof ConfigError)) onError(error);
    }
  }
}
