import { isTooMany } from '../billing/suspension-limit.ts';
import type { Manager } from '../interfaces.ts';

/**
 * Limits how many instances are suspended, or removed with their data, within an hour. They are counted in the manager, so that
 * neither a crash nor a restart forgets them; one passes at a time, so that two cannot both be the last one allowed.
 */
export class SuspensionLimiter {
  readonly #manager: Pick<Manager, 'recentSuspensions' | 'requestApproval'>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(manager: Pick<Manager, 'recentSuspensions' | 'requestApproval'>) {
    this.#manager = manager;
  }

  /**
   * Runs `suspend`, which counts as soon as it resolves, unless it would exceed the limit.
   * @returns whether it was run; if not, a person's approval has been requested
   */
  run(instanceId: number, suspend: () => Promise<void>): Promise<boolean> {
    const passing = this.#last.then(() => this.#run(instanceId, suspend));
    this.#last = passing.catch(() => {}); // the caller gets the error, the next one must not
    return passing;
  }

  async #run(instanceId: number, suspend: () => Promise<void>): Promise<boolean> {
    const recent = await this.#manager.recentSuspensions(instanceId);
    if (isTooMany(recent)) {
      await this.#manager.requestApproval(instanceId, recent);
      return false;
    }
    await suspend();
    return true;
  }
}
