import { judgeDomain, nextLookMs, type WatchedDomain } from '../instance/domain.ts';
import type { CustomerDomain } from '../instance/types.ts';
import type { Certificates, Clock, Manager, VerifyDomain } from '../interfaces.ts';
import { SlotPool } from './slots.ts';

/** How often the people of an instance can have its unverified domains looked at, in milliseconds. */
const HURRY_MS = 60_000;

/** The longest a timer is set for, in milliseconds. */
const MAX_DELAY_MS = 24 * 60 * 60_000;

export interface DomainWatchOptions {
  readonly manager: Pick<Manager, 'domains' | 'reportDomain'>;
  readonly verify: VerifyDomain;
  /** Null: no name needs one. */
  readonly certificates: Pick<Certificates, 'until'> | null;
  readonly now: Clock;
  /** Called when a domain is due: look() shall be called. */
  readonly onDue: () => void;
  readonly onError: (error: unknown, name: string) => void;
}

/** When a domain is looked at. Nothing that cannot be lost: after a restart all of them are. */
interface Look {
  readonly name: string;
  readonly token: string;
  /** Milliseconds since the epoch; null while it is looked at. */
  dueAt: number | null;
  lookedAt: number;
  /** How many times in a row something was missing. */
  attempts: number;
}

/**
 * Looks at customers' own domains: new ones at once, those that miss something ever more rarely, the others daily. A timer stands
 * for the next one alone, so that nobody is asked anything until then.
 */
export class DomainWatch {
  readonly #options: DomainWatchOptions;
  readonly #looks = new Map<number, Look>();
  /** A turn ends before a stranger's slow name server does: the next domain does not wait for it. */
  readonly #slots = new SlotPool({ slots: 8, turnMs: 1_000 });
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: DomainWatchOptions) {
    this.#options = options;
  }

  /** Takes the domains of all instances, whose tokens the door answers from now on: new and changed ones are due. */
  follow(domains: readonly CustomerDomain[]): void {
    const ids = new Set(domains.map(({ id }) => id));
    for (const id of this.#looks.keys()) if (!ids.has(id)) this.#looks.delete(id);
    for (const { id, name, token } of domains) {
      const known = this.#looks.get(id);
      if (known?.name === name && known.token === token) continue;
      const dueAt = this.#now();
      this.#looks.set(id, { name, token, dueAt, lookedAt: 0, attempts: 0 });
    }
    this.#arm();
  }

  /** The instance that has these domains is worked on, perhaps because its people want to know: what is not verified is due. */
  hurry(domains: readonly CustomerDomain[]): void {
    for (const { id, isVerified } of domains) {
      const look = this.#looks.get(id);
      if (!look || isVerified || look.dueAt === null) continue;
      look.dueAt = Math.min(look.dueAt, Math.max(this.#now(), look.lookedAt + HURRY_MS));
    }
    this.#arm();
  }

  /** Begins to look at all domains that are due, and does not wait for them. Asks the manager once, for these alone. */
  async look(): Promise<void> {
    const isDue = ([, { dueAt }]: [number, Look]) => dueAt !== null && dueAt <= this.#now();
    const ids = [...this.#looks].filter(isDue).map(([id]) => id);
    if (ids.length === 0) return this.#arm();
    const rows = await this.#options.manager.domains(ids);
    for (const row of rows) {
      const look = this.#looks.get(row.id);
      // What Odoo has renamed since is followed once the door answers its token.
      if (!look || look.name !== row.name || look.token !== row.token) continue;
      if (look.dueAt === null || look.dueAt > this.#now()) continue;
      look.dueAt = null;
      void this.#slots
        .run(row.instanceId, () => this.#check(row, look))
        .catch((error) => this.#options.onError(error, row.name))
        .finally(() => {
          // Its state could not be told: once more, as if something was missing.
          if (look.dueAt === null) this.#postpone(look, look.attempts + 1);
          this.#arm();
        });
    }
    this.#forgetUnknown(ids, rows);
    this.#arm();
  }

  /** Looks at no further domain. What is found of those under way is lost: strangers' name servers decide how long that takes. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #check(row: WatchedDomain, look: Look): Promise<void> {
    if (this.#isStopped) return;
    const { certificates, manager, now, verify } = this.#options;
    const found = judgeDomain(row, await verify(row), now());
    const isServed = found.state === 'verified';
    const certificateUntil = (isServed && (await certificates?.until(row.name))) || null;
    if (this.#isStopped || this.#looks.get(row.id) !== look) return;
    await manager.reportDomain(row.id, { ...found, certificateUntil });
    const lacksCertificate = certificates !== null && certificateUntil === null;
    const isMissing = found.fault !== null || lacksCertificate;
    const missing = found.fault === null ? 'certificate' : 'domain';
    this.#postpone(look, isMissing ? look.attempts + 1 : 0, missing);
  }

  #postpone(look: Look, attempts: number, missing: 'domain' | 'certificate' = 'domain'): void {
    look.attempts = attempts;
    look.lookedAt = this.#now();
    look.dueAt = look.lookedAt + nextLookMs(attempts, missing);
  }

  /** A domain that was deleted after the door got its name is not due for ever. */
  #forgetUnknown(asked: readonly number[], rows: readonly WatchedDomain[]): void {
    const names = new Map(rows.map(({ id, name, token }) => [id, `${name} ${token}`]));
    for (const id of asked) {
      const look = this.#looks.get(id);
      if (look && names.get(id) !== `${look.name} ${look.token}`) this.#looks.delete(id);
    }
  }

  #arm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const times = [...this.#looks.values()].flatMap(({ dueAt }) => dueAt ?? []);
    if (this.#isStopped || times.length === 0) return;
    const next = times.reduce((one, other) => Math.min(one, other));
    // Node takes a longer time than 2^31 ms for none at all; a clock that was corrected may ask for one.
    const delay = Math.min(MAX_DELAY_MS, Math.max(0, next - this.#now()));
    this.#timer = setTimeout(this.#options.onDue, delay);
  }

  #now(): number {
    return this.#options.now().getTime();
  }
}
