import type { Report } from '../instance/types.ts';
import type { Manager } from '../interfaces.ts';

/** How long a report waits for others to travel with it, in milliseconds. */
const GATHER = 20;

/**
 * Sends reports to Odoo, several instances' in one call and never two calls at once, so that they arrive in order.
 * Reports about one instance that wait together become one: later values win, log lines are kept.
 */
export class Reporter {
  readonly #manager: Manager;
  readonly #onLost: (error: unknown) => void;
  #waiting = new Map<number, Report>();
  #sending: Promise<void> = Promise.resolve();
  #scheduled: Promise<void> | null = null;

  /** @param onLost hears of progress that could not be delivered; the next look at the instance tells it anew */
  constructor(manager: Manager, onLost: (error: unknown) => void) {
    this.#manager = manager;
    this.#onLost = onLost;
  }

  /** Says how far a long step has come. Nobody waits for it. */
  progress(report: Report): void {
    this.#add(report).catch(this.#onLost);
  }

  /** Delivers a report. @throws ManagerError when Odoo did not take it. */
  async report(report: Report): Promise<void> {
    await this.#add(report);
  }

  #add(report: Report): Promise<void> {
    const before = this.#waiting.get(report.id);
    const log = [...(before?.log ?? []), ...(report.log ?? [])];
    this.#waiting.set(report.id, { ...before, ...report, ...(log.length > 0 ? { log } : {}) });
    this.#scheduled ??= this.#send();
    return this.#scheduled;
  }

  async #send(): Promise<void> {
    const before = this.#sending;
    const sending = (async () => {
      await new Promise((resolve) => setTimeout(resolve, GATHER));
      await before.catch(() => {}); // whoever waited for that one has been told
      const reports = [...this.#waiting.values()];
      this.#waiting = new Map();
      this.#scheduled = null;
      await this.#manager.report(reports);
    })();
    this.#sending = sending;
    await sending;
  }
}
