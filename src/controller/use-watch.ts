import type { HostUse, InstanceUse } from '../instance/use.ts';
import type { Clock, Listed, Manager, Measure, Measured } from '../interfaces.ts';

/** How often each running instance is measured, as long as one a second allows it. */
const MEASURE_INTERVAL_MS = 15 * 60_000;

/** How many are measured concurrently: one tenant may delay theirs by seconds, and must not delay the others'. */
const MAX_CONCURRENT = 4;

/** How many results wait for a manager that does not answer. */
const MAX_WAITING = 20_000;

/** How many one report has: it is one transaction in Odoo, which writes what sales and payments write too. */
const MAX_REPORTED = 100;

const MB = 2 ** 20;

export interface UseWatchOptions {
  readonly measure: Measure;
  readonly host: () => Promise<HostUse>;
  readonly manager: Pick<Manager, 'reportUse'>;
  readonly now: Clock;
  /** Without a door nobody sees requests. */
  readonly seesRequests: boolean;
}

interface Watched {
  listed: Listed;
  /** Milliseconds since the epoch. */
  nextAt: number;
  /** The last reading of its processors' time. */
  before: { readonly at: number; readonly cpuSeconds: number } | null;
}

/**
 * Measures what each running instance uses, one in each second at most, and reports it with the sweeps. What does not run uses nothing
 * more than it did, and keeps its last numbers.
 */
export class UseWatch {
  readonly #options: UseWatchOptions;
  readonly #since: number;
  readonly #watched = new Map<number, Watched>();
  readonly #requests = new Map<number, number>();
  #waiting: readonly InstanceUse[] = [];
  #measuring = 0;

  constructor(options: UseWatchOptions) {
    this.#options = options;
    this.#since = options.now().getTime();
  }

  /** Sets which instances to measure. */
  watch(found: ReadonlyMap<number, { readonly listed: Listed }>): void {
    for (const id of this.#watched.keys())
      if (!found.has(id)) {
        this.#watched.delete(id);
        this.#requests.delete(id);
      }
    for (const [id, { listed }] of found) {
      const known = this.#watched.get(id);
      if (known) known.listed = listed;
      else this.#watched.set(id, { listed, nextAt: 0, before: null });
    }
  }

  /** A request came to one of the instance's names. @param at in milliseconds since the epoch */
  requested(id: number, at: number): void {
    // After a start the door's log tells again of what was counted before it.
    if (at < this.#since || !this.#watched.has(id)) return;
    this.#requests.set(id, (this.#requests.get(id) ?? 0) + 1);
  }

  /** Measures the instance that is due longest: to be called every second. Resolves when it is done. */
  async tick(): Promise<void> {
    if (this.#measuring >= MAX_CONCURRENT) return;
    const now = this.#now();
    for (const [id, watched] of this.#watched) {
      if (watched.nextAt > now) continue;
      watched.nextAt = now + MEASURE_INTERVAL_MS;
      // Moved to the end of the map: the one measured longest ago comes first.
      this.#watched.delete(id);
      this.#watched.set(id, watched);
      this.#measuring += 1;
      const measured = await this.#options.measure(id, watched.listed).finally(() => {
        this.#measuring -= 1;
      });
      if (measured && this.#watched.has(id)) this.#note(id, watched, measured);
      return;
    }
  }

  /** Tells Odoo what was measured since the last time, and how the machine does. What could not be told is told the next time. */
  async report(): Promise<void> {
    const { host, manager } = this.#options;
    const machine = await host();
    do {
      const reported = new Set(this.#waiting.slice(0, MAX_REPORTED));
      await manager.reportUse([...reported], machine);
      this.#waiting = this.#waiting.filter((one) => !reported.has(one));
    } while (this.#waiting.length > 0);
  }

  #note(id: number, watched: Watched, measured: Measured): void {
    const { seesRequests } = this.#options;
    const at = this.#now();
    const { cpuSeconds, databaseBytes, fileBytes, identity, memoryBytes, users } = measured;
    const besideBytes = measured.isDatabaseAFile ? 0 : databaseBytes;
    const use: InstanceUse = {
      ...{ id, identity, at: new Date(at), users },
      diskMb: fileBytes === null || besideBytes === null ? null : inMb(fileBytes + besideBytes),
      databaseMb: databaseBytes === null ? null : inMb(databaseBytes),
      memoryMb: memoryBytes === null ? null : inMb(memoryBytes),
      cpus: cpuSeconds === null ? null : busySince(watched.before, { at, cpuSeconds }),
      requests: seesRequests ? (this.#requests.get(id) ?? 0) : null,
    };
    watched.before = cpuSeconds === null ? null : { at, cpuSeconds };
    this.#requests.delete(id);
    // The oldest are dropped of more than Odoo keeps anyway.
    this.#waiting = [...this.#waiting.slice(1 - MAX_WAITING), use];
  }

  #now(): number {
    return this.#options.now().getTime();
  }
}

/** How many processors were busy between two readings; null before the second. */
function busySince(
  before: Watched['before'],
  { at, cpuSeconds }: { readonly at: number; readonly cpuSeconds: number },
): number | null {
  if (before === null || at <= before.at) return null;
  // Started again meanwhile, it counts from nothing: what it had used before that is lost.
  const used = cpuSeconds >= before.cpuSeconds ? cpuSeconds - before.cpuSeconds : cpuSeconds;
  return (used * 1000) / (at - before.at);
}

function inMb(bytes: number): number {
  return Math.round(bytes / MB);
}
