import { ManagerError } from '../errors.ts';
import type { Report } from '../instance/types.ts';
import type { Manager } from '../interfaces.ts';

/** How long a report waits for others to travel with it, in milliseconds. */
const GATHER = 20;

/** A report that waits, and those who wait for it. */
interface Waiting {
  report: Report;
  readonly delivered: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Sends reports to Odoo, several instances' in one call and never two calls at once, so that they arrive in order.
 * Reports about one instance that wait together become one: later values win, log lines are kept.
 */
export class Reporter {
  readonly #manager: Manager;
  readonly #onLost: (error: unknown) => void;
  #waiting = new Map<number, Waiting>();
  #sending: Promise<void> | null = null;

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
    let waiting = this.#waiting.get(report.id);
    if (waiting) {
      const log = [...(waiting.report.log ?? []), ...(report.log ?? [])];
      waiting.report = { ...waiting.report, ...report, ...(log.length > 0 ? { log } : {}) };
    } else {
      waiting = withDelivery(report);
      this.#waiting.set(report.id, waiting);
    }
    this.#sending ??= this.#sendAll();
    return waiting.delivered;
  }

  async #sendAll(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, GATHER));
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting.values()];
      this.#waiting = new Map();
      await this.#send(batch);
    }
    this.#sending = null;
  }

  /** What Odoo refuses together it is told singly: one bad report must not take the others with it. */
  async #send(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.#manager.report(batch.map(({ report }) => report));
      for (const { resolve } of batch) resolve();
    } catch (error) {
      const isRefused = error instanceof ManagerError && !error.retryable;
      if (isRefused && batch.length > 1) for (const one of batch) await this.#send([one]);
      else for (const { reject } of batch) reject(error);
    }
  }
}

function withDelivery(report: Report): Waiting {
  let resolve = () => {};
  let reject: Waiting['reject'] = () => {};
  const delivered = new Promise<void>((onDelivered, onLost) => {
    resolve = onDelivered;
    reject = onLost;
  });
  return { report, delivered, resolve, reject };
}
