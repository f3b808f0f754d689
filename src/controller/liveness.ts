import type { InstanceState } from '../instance/types.ts';
import type { Clock, Health, Listed, Probe } from '../interfaces.ts';

/** How often each instance is looked at, in milliseconds, as long as MOST_PER_TICK allows it. */
const ROUND = 2 * 60_000;

/** How often one that does not answer is looked at. */
const SILENT_ROUND = 15_000;

/** How long an instance must have been silent until it is restarted: a long import or report may keep Odoo busy for a while. */
const HUNG_AFTER = 3 * 60_000;

/** One that hangs again sooner than this after its restart is a case for a person. */
const RESTARTED_FOR = 60 * 60_000;

/** How many looks may begin in one tick, whatever the size of the fleet, and how many may be under way. */
const MOST_PER_TICK = 20;
const MOST_UNDER_WAY = 40;

/** When more than this share of all are silent, and more than so many, the host has a problem and restarting them is none of the cure. */
const SHARE_OF_HOST = 0.2;
const FEW = 3;

/** Spreads the looks: neighbours are some seconds apart. */
const STRIDE = 7_919;

interface Watched {
  readonly listed: Listed;
  /** What Odoo says of it. */
  readonly state: InstanceState;
  /** Milliseconds since the epoch. */
  nextLook: number;
  health: Health | null;
  silentSince: number | null;
  isToldHung: boolean;
}

export interface LivenessOptions {
  readonly probe: Probe;
  readonly now: Clock;
  /** Hears of an instance that should be looked at closely: it hangs, has lost its files, or is well again. */
  readonly onChange: (id: number) => void;
}

/**
 * Looks at each instance that should run, some in each second: a page of Odoo and the disk, neither Docker nor the manager. What it
 * finds is only a reason to reconcile, and whether to restart an instance that hangs.
 */
export class Liveness {
  readonly #options: LivenessOptions;
  readonly #watched = new Map<number, Watched>();
  readonly #restartedAt = new Map<number, number>();
  #underWay = 0;
  #silent = 0;

  constructor(options: LivenessOptions) {
    this.#options = options;
  }

  /** Says which instances there are to look at. What is known of those that stay is kept. */
  watch(found: ReadonlyMap<number, { readonly listed: Listed; readonly state: InstanceState }>) {
    const now = this.#now();
    for (const [id, { silentSince }] of this.#watched)
      if (!found.has(id)) this.#forget(id, silentSince);
    for (const [id, { listed, state }] of found) {
      const known = this.#watched.get(id);
      this.#watched.set(id, {
        nextLook: now + ((id * STRIDE) % ROUND),
        health: null,
        silentSince: null,
        isToldHung: false,
        ...known,
        listed,
        state,
      });
    }
  }

  /** Begins the looks that are due: to be called every second. Resolves when they have ended. */
  async tick(): Promise<void> {
    const now = this.#now();
    const looks: Promise<void>[] = [];
    for (const [id, watched] of this.#watched) {
      if (looks.length >= MOST_PER_TICK || this.#underWay >= MOST_UNDER_WAY) break;
      if (watched.nextLook <= now) looks.push(this.#look(id, watched));
    }
    await Promise.all(looks);
  }

  /** Whether a restart may help: silent for long, alone in that, and not restarted just before. */
  isHung(id: number): boolean {
    const silentSince = this.#watched.get(id)?.silentSince ?? null;
    const restartedAt = this.#restartedAt.get(id) ?? Number.NEGATIVE_INFINITY;
    const now = this.#now();
    if (silentSince === null || now - silentSince < HUNG_AFTER) return false;
    return now - restartedAt >= RESTARTED_FOR && !this.isHostSilent;
  }

  /** So many are silent that it cannot be their own doing. */
  get isHostSilent(): boolean {
    return this.#silent > Math.max(FEW, this.#watched.size * SHARE_OF_HOST);
  }

  /** It was just seen to answer. */
  answered(id: number): void {
    const watched = this.#watched.get(id);
    if (watched) this.#heard(watched);
  }

  restarted(id: number): void {
    this.#restartedAt.set(id, this.#now());
    this.answered(id); // its time begins anew
  }

  async #look(id: number, watched: Watched): Promise<void> {
    // In the map again at its end: whoever was looked at longest ago comes first.
    this.#watched.delete(id);
    this.#watched.set(id, watched);
    watched.nextLook = Number.POSITIVE_INFINITY;
    this.#underWay += 1;
    const health = await this.#options.probe(id, watched.listed).finally(() => {
      this.#underWay -= 1;
    });
    const current = this.#watched.get(id);
    if (current) this.#note(id, current, health);
  }

  #note(id: number, watched: Watched, health: Health): void {
    const now = this.#now();
    const before = watched.health ?? (watched.state === 'running' ? 'well' : health);
    watched.health = health;
    watched.nextLook = now + (health === 'silent' ? SILENT_ROUND : ROUND);
    if (health !== 'silent') {
      this.#heard(watched);
      if (health !== before) this.#options.onChange(id);
      return;
    }
    if (watched.silentSince === null) {
      watched.silentSince = now;
      this.#silent += 1;
    }
    if (watched.isToldHung || !this.isHung(id)) return;
    watched.isToldHung = true;
    this.#options.onChange(id);
  }

  #heard(watched: Watched): void {
    if (watched.silentSince !== null) this.#silent -= 1;
    watched.silentSince = null;
    watched.isToldHung = false;
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
