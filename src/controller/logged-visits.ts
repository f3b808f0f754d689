import { normalizedHost } from '../instance/host-name.ts';
import type { LoggedRequest } from '../interfaces.ts';
import { type Activity, isVisit } from './activity.ts';
import type { DoorRoutes } from './door-routes.ts';
import type { UseWatch } from './use-watch.ts';

/** How many hosts' visits wait for the names to be known; what was not answered by somebody's instance or by the door is none of them. */
const MAX_WAITING = 20_000;

/** What the door answers itself: a former name and plain HTTP redirect, and who follows comes again. */
const REDIRECTED = 308;

/**
 * The visits that the door's log tells of. After a start of the sidecar the log is read before Odoo has said whose the names are: until
 * then each host's last visit waits.
 */
export class LoggedVisits {
  readonly #activity: Activity;
  readonly #routes: DoorRoutes;
  readonly #useWatch: Pick<UseWatch, 'requested'>;
  readonly #waiting = new Map<string, number>();

  /** @param useWatch is told of every request, visit or not */
  constructor(activity: Activity, routes: DoorRoutes, useWatch: Pick<UseWatch, 'requested'>) {
    this.#activity = activity;
    this.#routes = routes;
    this.#useWatch = useWatch;
  }

  take({ at, host, path, status }: LoggedRequest): void {
    if (status === REDIRECTED) return;
    const name = normalizedHost(host);
    const id = this.#routes.instanceAt(name);
    if (id) this.#useWatch.requested(id, at);
    // What was refused or not found was no use to anybody: the internet is full of programs that try addresses.
    if (status >= 400 || !isVisit(path)) return;
    if (id === undefined) this.#wait(name, at);
    else if (id !== null) this.#activity.visited(id, at);
  }

  /** To be called when the routes have changed. */
  routesKnown(): void {
    for (const [host, at] of this.#waiting) {
      const id = this.#routes.instanceAt(host);
      if (id) this.#activity.visited(id, at);
    }
    this.#waiting.clear();
  }

  #wait(host: string, at: number): void {
    const latest = Math.max(at, this.#waiting.get(host) ?? 0);
    // Last in the order of the map: what is dropped is visited least recently.
    this.#waiting.delete(host);
    this.#waiting.set(host, latest);
    if (this.#waiting.size <= MAX_WAITING) return;
    const [oldest = ''] = this.#waiting.keys();
    this.#waiting.delete(oldest);
  }
}
