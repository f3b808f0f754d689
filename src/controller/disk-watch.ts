import type { Shortage } from '../interfaces.ts';
import type { ControllerContext } from './controller-context.ts';
import { logLine } from './progress.ts';

/** How often the alert is repeated while free disk space stays short. */
const ALERT_INTERVAL_MS = 60 * 60_000;

/** How many of the largest instances an alert names. */
const MAX_NAMED = 5;

type DiskWatchContext = Pick<ControllerContext, 'disk' | 'log' | 'manager' | 'now' | 'reporter'>;

/**
 * Watches free disk space, at the price of one system call while there is enough. When there is too little it names the largest
 * instances, and how much each has grown since the last alert: in the log, and on each of these instances in Odoo.
 */
export class DiskWatch {
  readonly #context: DiskWatchContext;
  #lastSizes = new Map<number, number>();
  #alertedAt: number | null = null;

  constructor(context: DiskWatchContext) {
    this.#context = context;
  }

  async check(): Promise<void> {
    const { disk, log, now } = this.#context;
    const shortage = await disk.shortage();
    if (!shortage) {
      if (this.#alertedAt !== null) log.info('the disk has enough free space again');
      this.#alertedAt = null;
      return;
    }
    if (this.#alertedAt !== null && now().getTime() - this.#alertedAt < ALERT_INTERVAL_MS) return;
    this.#alertedAt = now().getTime();
    await this.#alert(shortage);
  }

  async #alert({ message: shortage }: Shortage): Promise<void> {
    const { disk, log, manager, now, reporter } = this.#context;
    const all = await disk.largest();
    const largest = all.slice(0, MAX_NAMED).map(({ id, bytes }) => {
      const before = this.#lastSizes.get(id);
      return { instance: id, bytes, ...(before !== undefined && { grownBy: bytes - before }) };
    });
    this.#lastSizes = new Map(all.map(({ id, bytes }) => [id, bytes]));
    log.error(
      { shortage, largest },
      'too little free disk space: nothing is sold or started until there is enough',
    );
    const sizes = new Map(largest.map(({ instance, bytes }) => [instance, bytes]));
    const known = await manager.desired([...sizes.keys()]);
    await Promise.all(
      known.map(({ id, revision }) => {
        const text = `The server's disk is short of room, and this instance has ${gigabytes(sizes.get(id) ?? 0)} of files.`;
        return reporter.report({ id, revision, log: [logLine(now(), text)] });
      }),
    );
  }
}

function gigabytes(bytes: number): string {
  return Number.isFinite(bytes)
    ? `${(bytes / 1024 ** 3).toFixed(1)} GB`
    : 'more than can be counted';
}
