import { type Attention, AWAKE_MS, isToSleep, lastRequestOf } from '../instance/sleep.ts';
import type { DesiredInstance, KnownInstance, Report } from '../instance/types.ts';
import type { Clock } from '../interfaces.ts';
import { LAST_REQUEST_SECONDS } from './final-report.ts';

/** What a browser fetches by itself, or keeps asking for from a tab that nobody looks at, and what machines ask for. */
const NO_VISIT =
  /^\/(?:websocket|longpolling|bus|robots\.txt|favicon\.ico|apple-touch-icon|sitemap\.xml|\.well-known|web\/(?:static|assets|health|manifest|service-worker|webclient\/version_info))(?=$|[/.?\-_])/;

/** Whether a request of this path is a person's, or a program's that works for one: only such keep an instance awake, or wake it. */
export function isVisit(path: string): boolean {
  return !NO_VISIT.test(path);
}

/**
 * When each instance was last visited, in memory, and whether it is asleep as far as Odoo shows. After a restart of the sidecar only
 * what Odoo shows is known, and the door's log.
 */
export class Activity {
  readonly #now: Clock;
  readonly #since: number;
  readonly #requests = new Map<number, number>();
  readonly #awakeUntil = new Map<number, number>();
  #known = new Map<number, KnownInstance>();

  constructor(now: Clock) {
    this.#now = now;
    this.#since = now().getTime();
  }

  /** @param at in milliseconds since the epoch; by default now */
  visited(id: number, at = this.#now().getTime()): void {
    // A log may be wrong about the time, which must not keep an instance awake for ever.
    const moment = Math.min(at, this.#now().getTime());
    this.#requests.set(id, Math.max(moment, this.#requests.get(id) ?? 0));
  }

  /** @param until in milliseconds since the epoch; by default long enough for what its scheduler has to do */
  keepAwake(id: number, until = this.#now().getTime() + AWAKE_MS): void {
    this.#awakeUntil.set(id, until);
  }

  of(id: number): Attention {
    return {
      now: this.#now().getTime(),
      lastRequestAt: this.#requests.get(id) ?? 0,
      awakeUntil: this.#awakeUntil.get(id) ?? 0,
      since: this.#since,
    };
  }

  /** The last visit in seconds since the epoch, for a report; 0: none is known. */
  lastRequestSeconds(known: Pick<DesiredInstance, 'id' | 'lastRequestAt'>): number {
    return Math.floor(lastRequestOf(known, this.of(known.id)) / 1000);
  }

  isAsleep(id: number): boolean {
    return this.#known.get(id)?.isAsleep ?? false;
  }

  /** What Odoo shows of every instance, at a sweep. */
  replace(states: ReadonlyMap<number, KnownInstance>): void {
    this.#known = new Map(states);
  }

  /** What Odoo shows of one, just read or just reported. */
  learn(id: number, { state, reason, revision, sleepHours, ...sleep }: KnownInstance): void {
    const { isAsleep, lastRequestAt, wakeAt } = sleep;
    this.#known.set(id, { state, reason, revision, sleepHours, isAsleep, lastRequestAt, wakeAt });
  }

  /** What was reported of an instance that was read as `desired`. One that was woken, or started by a person, is not put to sleep at once. */
  reported(desired: DesiredInstance, report: Report): void {
    const { id } = desired;
    if (report.state === 'running' && desired.state !== 'running') this.visited(id);
    if (report.state === 'running' && report.isAsleep === false) this.keepAwake(id);
    this.learn(id, { ...desired, ...report });
  }

  /** The instances that are to fall asleep or to wake. Costs neither Docker nor Odoo anything. */
  due(): number[] {
    return [...this.#known]
      .filter(([id, it]) => it.state === 'running' && isToSleep(it, this.of(id)) !== it.isAsleep)
      .map(([id]) => id);
  }

  /** Reports of last requests that Odoo knows an hour too old; each is given once. */
  unreported(): Report[] {
    const reports: Report[] = [];
    for (const [id, known] of this.#known) {
      const lastRequestAt = this.#requests.get(id) ?? 0;
      if (lastRequestAt / 1000 - known.lastRequestAt < LAST_REQUEST_SECONDS) continue;
      const seconds = Math.floor(lastRequestAt / 1000);
      reports.push({ id, revision: known.revision, lastRequestAt: seconds });
      this.#known.set(id, { ...known, lastRequestAt: seconds });
    }
    return reports;
  }
}
