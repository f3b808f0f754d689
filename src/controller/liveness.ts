import type { InstanceState } from '../instance/types.ts';
import type { Clock, Health, Listed, Probe } from '../interfaces.ts';

/** How often each instance is probed, as long as MAX_PROBES_PER_TICK allows it. */
const PROBE_INTERVAL_MS = 2 * 60_000;

/** How often an unresponsive instance is probed. */
const SILENT_PROBE_INTERVAL_MS = 15_000;

/** How long an instance must be unresponsive before it is restarted: a long import or report may keep Odoo busy for a while. */
const HUNG_AFTER_MS = 3 * 60_000;

/** An instance that hangs again sooner than this after a restart is not restarted: it needs a person. */
const MIN_RESTART_INTERVAL_MS = 60 * 60_000;

/** How many probes may begin in one tick, whatever the size of the fleet, and how many may run concurrently. */
const MAX_PROBES_PER_TICK = 20;
const MAX_CONCURRENT_PROBES = 40;

/** When more than this share of all are unresponsive, and more than this number, the host is the cause and none is restarted. */
const HOST_FAULT_SHARE = 0.2;
const HOST_FAULT_MIN = 3;

/** Spreads the first probes over the interval: those of consecutive ids are some seconds apart. */
const SPREAD_MS = 7_919;

interface Watched {
  readonly listed: Listed;
  /** As Odoo has it. */
  readonly state: InstanceState;
  /** Milliseconds since the epoch. */
  nextProbe: number;
  health: Health | null;
  silentSince: number | null;
  isReportedHung: boolean;
}

export interface LivenessOptions {
  readonly probe: Probe;
  readonly now: Clock;
  /** Called with an instance to reconcile: it hangs, has lost its files, or is well again. */
  readonly onChange: (id: number) => void;
}

/**
 * Probes each instance that should run, some in each second: its health page and its files, neither Docker nor the manager. A
 * result is only a reason to reconcile, and whether an instance that hangs may be restarted.
 */
export class Liveness {
  readonly #options: LivenessOptions;
  readonly #watched = new Map<number, Watched>();
  readonly #restartedAt = new Map<number, number>();
  #probing = 0;
  #silent = 0;

  constructor(options: LivenessOptions) {
    this.#options = options;
  }

  /** Sets which instances to probe. The results of those that stay are kept. */
  watch(found: ReadonlyMap<number, { readonly listed: Listed; readonly state: InstanceState }>) {
    const now = this.#now();
    for (const [id, { silentSince }] of this.#watched)
      if (!found.has(id)) this.#forget(id, silentSince);
    for (const [id, { listed, state }] of found) {
      const known = this.#watched.get(id);
      this.#watched.set(id, {
        nextProbe: now + ((id * SPREAD_MS) % PROBE_INTERVAL_MS),
        health: null,
        silentSince: null,
        isReportedHung: false,
        ...known,
        listed,
        state,
      });
    }
  }

  /** The instance is to be silent from now on: it is stopped. */
  stopWatching(id: number): void {
    const watched = this.#watched.get(id);
    if (watched) this.#forget(id, watched.silentSince);
  }

  /** The containers of an instance that is probed; undefined for one that should not run. */
  listed(id: number): Listed | undefined {
    return this.#watched.get(id)?.listed;
  }

  /** Begins the probes that are due: to be called every second. Resolves when they have ended. */
  async tick(): Promise<void> {
    const now = this.#now();
    const probes: Promise<void>[] = [];
    for (const [id, watched] of this.#watched) {
      if (probes.length >= MAX_PROBES_PER_TICK || this.#probing >= MAX_CONCURRENT_PROBES) break;
      if (watched.nextProbe <= now) probes.push(this.#probe(id, watched));
    }
    await Promise.all(probes);
  }

  /** Whether a restart may help: unresponsive for long enough, not for a fault of the host, and not restarted lately. */
  isHung(id: number): boolean {
    const silentSince = this.#watched.get(id)?.silentSince ?? null;
    const restartedAt = this.#restartedAt.get(id) ?? Number.NEGATIVE_INFINITY;
    const now = this.#now();
    if (silentSince === null || now - silentSince < HUNG_AFTER_MS) return false;
    return now - restartedAt >= MIN_RESTART_INTERVAL_MS && !this.isHostSilent;
  }

  /** How many instances do not answer that should. */
  get silent(): number {
    return this.#silent;
  }

  /** So many are unresponsive that the host must be the cause. */
  get isHostSilent(): boolean {
    return this.#silent > Math.max(HOST_FAULT_MIN, this.#watched.size * HOST_FAULT_SHARE);
  }

  /** The instance has just answered another request of the sidecar. */
  answered(id: number): void {
    const watched = this.#watched.get(id);
    if (watched) this.#markResponsive(watched);
  }

  restarted(id: number): void {
    this.#restartedAt.set(id, this.#now());
    this.answered(id); // it gets the whole HUNG_AFTER_MS again
  }

  async #probe(id: number, watched: Watched): Promise<void> {
    // Moved to the end of the map: the one probed longest ago comes first.
    this.#watched.delete(id);
    this.#watched.set(id, watched);
    watched.nextProbe = Number.POSITIVE_INFINITY;
    this.#probing += 1;
    const health = await this.#options.probe(id, watched.listed).finally(() => {
      this.#probing -= 1;
    });
    const current = this.#watched.get(id);
    if (current) this.#record(id, current, health);
  }

  #record(id: number, watched: Watched, health: Health): void {
    const now = this.#now();
    const before = watched.health ?? (watched.state === 'running' ? 'well' : health);
    watched.health = health;
    watched.nextProbe = now + (health === 'silent' ? SILENT_PROBE_INTERVAL_MS : PROBE_INTERVAL_MS);
    if (health !== 'silent') {
      this.#markResponsive(watched);
      if (health !== before) this.#options.onChange(id);
      return;
    }
    if (watched.silentSince === null) {
      watched.silentSince = now;
      this.#silent += 1;
    }
    if (watched.isReportedHung || !this.isHung(id)) return;
    watched.isReportedHung = true;
    this.#options.onChange(id);
  }

  #markResponsive(watched: Watched): void {
    if (watched.silentSince !== null) this.#silent -= 1;
    watched.silentSince = null;
    watched.isReportedHung = false;
  }

  #forget(id: number, silentSince: number | null): void {
    if (silentSince !== null) this.#silent -= 1;
    this.#watched.delete(id);
    this.#restartedAt.delete(id);
  }

  #now(): number {
    return this.#options.now().getTime();
  }
}
