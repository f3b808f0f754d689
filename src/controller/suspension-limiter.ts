import { isTooMany } from '../billing/suspension-limit.ts';
import type { Manager } from '../interfaces.ts';

/**
 * Stands before every suspension and every removal of data. What was taken is counted in the manager, so that
 * neither a crash nor a restart forgets it; one passes at a time, so that no two take the last place together.
 */
export class SuspensionLimiter {
  readonly #manager: Pick<Manager, 'recentSuspensions' | 'requestApproval'>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(manager: Pick<Manager, 'recentSuspensions' | 'requestApproval'>) {
    this.#manager = manager;
  }

  /**
   * Does `descend`, which is counted as soon as it resolves, unless it would be one too many.
   * @returns whether it was done; if not, people have been asked.
   */
  pass(instanceId: number, suspend: () => Promise<void>): Promise<boolean> {
    const passing = this.#last.then(() => this.#pass(instanceId, suspend));
    this.#last = passing.catch(() => {}); // whoever asked is told, the next one is not concerned
    return passing;
  }

  async #pass(instanceId: number, suspend: () => Promise<void>): Promise<boolean> {
    const recent = await this.#manager.recentSuspensions(instanceId);
    if (isTooMany(recent)) {
      await this.#manager.requestApproval(instanceId, recent);
      return false;
    }
    await suspend();
    return true;
  }
}
