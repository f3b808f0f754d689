import { ManagerError } from '../errors.ts';
import type { Report } from '../instance/types.ts';
import type { Manager } from '../interfaces.ts';

/** How long a report waits for others to be sent in the same call. */
const BATCH_DELAY_MS = 20;

/**
 * How long progress waits for newer progress: a message that is out of date before anybody could read it is not worth a call
 * to Odoo, which shares the machine with the very start that it is about.
 */
const PROGRESS_DELAY_MS = 250;

/** A report that waits to be sent, and the promise its callers wait for. */
interface PendingReport {
  report: Report;
  readonly delivered: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Sends reports to Odoo in batches, one call at a time, so that they arrive in order.
 * Pending reports about one instance are merged: later values win, log lines are kept.
 */
export class Reporter {
  readonly #manager: Manager;
  readonly #onLost: (error: unknown) => void;
  #pending = new Map<number, PendingReport>();
  /** The latest progress of each instance, with all log lines since it was last sent. */
  readonly #progress = new Map<
    number,
    { readonly report: Report; readonly timer: NodeJS.Timeout }
  >();
  #sending: Promise<void> | null = null;

  /** @param onLost called when progress could not be delivered; the next reconcile reports it again */
  constructor(manager: Manager, onLost: (error: unknown) => void) {
    this.#manager = manager;
    this.#onLost = onLost;
  }

  /** Reports how far a long step has come. Nobody waits for it. */
  progress(report: Report): void {
    const { id } = report;
    const earlier = this.#progress.get(id);
    const timer = earlier?.timer ?? setTimeout(() => this.#sendProgress(id), PROGRESS_DELAY_MS);
    this.#progress.set(id, { report: earlier ? merged(earlier.report, report) : report, timer });
  }

  /** Delivers a report. @throws ManagerError when Odoo did not accept it */
  async report(report: Report): Promise<void> {
    const progress = this.#takeProgress(report.id);
    await this.#add(progress ? merged(progress, report) : report);
  }

  #sendProgress(id: number): void {
    const progress = this.#takeProgress(id);
    if (progress) this.#add(progress).catch(this.#onLost);
  }

  #takeProgress(id: number): Report | null {
    const waiting = this.#progress.get(id);
    clearTimeout(waiting?.timer);
    this.#progress.delete(id);
    return waiting?.report ?? null;
  }

  #add(report: Report): Promise<void> {
    let waiting = this.#pending.get(report.id);
    if (waiting) {
      waiting.report = merged(waiting.report, report);
    } else {
      waiting = withDelivery(report);
      this.#pending.set(report.id, waiting);
    }
    this.#sending ??= this.#sendAll();
    return waiting.delivered;
  }

  async #sendAll(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, BATCH_DELAY_MS));
    while (this.#pending.size > 0) {
      const batch = [...this.#pending.values()];
      this.#pending = new Map();
      await this.#send(batch);
    }
    this.#sending = null;
  }

  /** A refused batch is sent again one by one: one bad report must not block the others. */
  async #send(batch: readonly PendingReport[]): Promise<void> {
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

function merged(earlier: Report, later: Report): Report {
  const log = [...(earlier.log ?? []), ...(later.log ?? [])];
  // An earlier revision's next review must not postpone that of the later one: until then Odoo would not see that the desired
  // state has not been reached.
  const { nextReview: _, ...withoutReview } = earlier;
  const kept = earlier.revision === later.revision ? earlier : withoutReview;
  return { ...kept, ...later, ...(log.length > 0 ? { log } : {}) };
}

function withDelivery(report: Report): PendingReport {
  let resolve = () => {};
  let reject: PendingReport['reject'] = () => {};
  const delivered = new Promise<void>((onDelivered, onLost) => {
    resolve = onDelivered;
    reject = onLost;
  });
  return { report, delivered, resolve, reject };
}
