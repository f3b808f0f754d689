import { foreignData, RetryableError, TerminalError } from '../../src/errors.ts';
import type { ProgressReason } from '../../src/instance/reasons.ts';
import type {
  DesiredInstance,
  EffectiveState,
  ObservedInstance,
  Plan,
  Spare,
} from '../../src/instance/types.ts';
import type {
  ClonedDatabase,
  Databases,
  OdooSession,
  RehearsedVisit,
} from '../../src/interfaces.ts';
import { hasOwnDatabase } from './engine.ts';

/**
 * The customers' databases, in memory. A database is either wholly there or not at all; making one over another is the
 * one thing that must never happen, so it is an error here. The first database of a module set waits for its template.
 */
export class FakeDatabases implements Databases {
  readonly present = new Set<number>();
  /** The identity in the mark of each. */
  readonly marks = new Map<number, string>();
  /** Whose the data within are: the identity that they were made for, or handed over to; null: nobody's, a spare's. */
  readonly madeFor = new Map<number, string | null>();
  /** Spares that somebody could log in to at this moment. */
  readonly rehearsed = new Set<number>();
  /** Module sets and languages that have a template database. */
  readonly templates = new Set<string>();
  /** Those of them that may go as soon as no plan wants them. */
  readonly stale = new Set<string>();
  /** How many ready clones were used up since restock(). */
  usedSpares = 0;
  /** Those that were restored, and whether their secrets were made anew. */
  readonly copies = new Map<number, boolean>();
  changes = 0;
  invitations = 0;
  /** Instances whose administrator has logged in. */
  readonly loggedIn = new Set<number>();
  /** Logins of users who are let in by a password alone. */
  readonly users = new Set<string>();
  /** How many users each Odoo takes; null: any number. */
  readonly userLimits = new Map<number, number | null>();
  isAway = false;
  /** What each instance's scheduler has planned. */
  readonly work = new Map<number, Date | 'always'>();

  readonly #isDatabaseUp: (id: number) => boolean;

  /** @param isDatabaseUp whether an instance's own Postgres is up */
  constructor(isDatabaseUp: (id: number) => boolean) {
    this.#isDatabaseUp = isDatabaseUp;
  }

  async adopt({ id, identity }: DesiredInstance): Promise<void> {
    if (this.present.has(id) && !this.marks.has(id)) this.marks.set(id, identity);
  }

  async numbers(): Promise<number[]> {
    this.#checkHere();
    return [...this.present];
  }

  /** How far the server's clock is ahead, in seconds. */
  clockAheadSeconds = 0;

  async clock(): Promise<number> {
    this.#checkHere();
    return Date.now() / 1000 + this.clockAheadSeconds;
  }

  async ping(): Promise<void> {
    this.#checkHere();
  }

  async setUrl(desired: DesiredInstance): Promise<void> {
    if (!this.present.has(desired.id)) throw new Error(`database ${desired.id} does not exist`);
  }

  async limitUsers({ id, userLimit }: DesiredInstance): Promise<void> {
    if (!this.present.has(id)) throw new Error(`database ${id} does not exist`);
    this.userLimits.set(id, userLimit?.users ?? null);
  }

  async prepare({ modules, languages }: Plan): Promise<void> {
    this.#checkHere();
    for (const lang of languages) this.#buildTemplate(modules, lang);
  }

  async invitation({ id }: DesiredInstance): Promise<{ link: string; isFirst: boolean }> {
    this.#checkHere();
    this.invitations += 1;
    const link = `https://${id}.example.com/web/reset_password?token=${this.invitations}`;
    return { link, isFirst: !this.loggedIn.has(id) };
  }

  async odooSession(
    { id }: DesiredInstance,
    { endsAt, login }: { readonly login: string; readonly endsAt: number | null },
  ): Promise<OdooSession | null> {
    this.#checkHere();
    if (!this.users.has(login)) return null;
    return { sid: `session-of-${login}`, content: { db: id, login, endsAt } };
  }

  async nextWork({ id }: DesiredInstance): Promise<Date | 'always' | null> {
    if (!this.present.has(id)) throw new Error(`database ${id} does not exist`);
    return this.work.get(id) ?? null;
  }

  async drop({ id, identity }: DesiredInstance): Promise<void> {
    this.#checkHere();
    if (this.present.has(id) && this.marks.get(id) !== identity) throw foreignData('database');
    this.marks.delete(id);
    this.madeFor.delete(id);
    this.present.delete(id);
    this.changes += 1;
  }

  async restock(): Promise<void> {
    this.#checkHere();
    this.usedSpares = 0;
  }

  async observe(
    desired: DesiredInstance,
    state: EffectiveState,
  ): Promise<ObservedInstance['database']> {
    if (hasOwnDatabase(desired) && state !== 'purged') {
      if (!this.#isDatabaseUp(desired.id)) return 'offline';
    } else this.#checkHere();
    if (!this.present.has(desired.id)) return 'absent';
    const mark = this.marks.get(desired.id);
    if (mark === undefined) return 'unmarked';
    return mark === desired.identity ? 'ready' : 'foreign';
  }

  async list(): Promise<ReadonlySet<number>> {
    this.#checkHere();
    return new Set(this.present);
  }

  async awaitServer(desired: DesiredInstance): Promise<void> {
    if (!this.#isDatabaseUp(desired.id))
      throw new RetryableError('PostgresUnavailable', 'The database server does not answer.');
  }

  async clone(
    desired: DesiredInstance,
    progress: (reason: ProgressReason) => void,
  ): Promise<ClonedDatabase> {
    this.#checkHere();
    if (!this.templates.has(templateOf(desired.modules, desired.customer.lang)))
      throw new Error('a template would be built while others wait for a start slot');
    progress('CreatingDatabase');
    if (this.present.has(desired.id))
      throw new Error(`database ${desired.id} would be overwritten`);
    this.usedSpares += 1;
    return { database: unfinished(desired) };
  }

  async personalise(desired: DesiredInstance, { database }: ClonedDatabase): Promise<void> {
    this.#checkHere();
    if (database !== unfinished(desired)) throw new Error(`${database} is another's`);
    await Promise.resolve(); // what goes on beside it begins
    this.present.add(desired.id);
    this.marks.set(desired.id, desired.identity);
    this.madeFor.set(desired.id, desired.spare === 'kept' ? null : desired.identity);
    this.changes += 1;
  }

  async beginRehearsal({ id }: Spare): Promise<Omit<RehearsedVisit, 'lang'>> {
    this.#checkHere();
    if (this.madeFor.get(id) !== null) throw new Error(`database ${id} is somebody's`);
    this.rehearsed.add(id);
    return { login: 'microsaas-spare', password: 'secret' };
  }

  async endRehearsal({ id }: Spare): Promise<void> {
    this.#checkHere();
    this.rehearsed.delete(id);
  }

  async handOver({ id, identity }: DesiredInstance): Promise<void> {
    this.#checkHere();
    if (this.marks.get(id) !== identity) throw foreignData('database');
    this.madeFor.set(id, identity);
    this.changes += 1;
  }

  async isHandedOver({ id, identity }: DesiredInstance): Promise<boolean> {
    this.#checkHere();
    return this.madeFor.get(id) === identity;
  }

  async prepareFor(
    desired: DesiredInstance,
    progress: (reason: ProgressReason) => void,
  ): Promise<void> {
    this.#checkHere();
    const isBuilt = this.#buildTemplate(desired.modules, desired.customer.lang);
    if (isBuilt) progress('PreparingTemplate');
  }

  async restore(
    desired: DesiredInstance,
    options: { readonly isCopy: boolean },
    fill: Parameters<Databases['restore']>[2],
  ): Promise<void> {
    this.#checkHere();
    const { id, identity } = desired;
    if (this.present.has(id)) throw new TerminalError('DatabaseExists', 'it has one');
    if (hasOwnDatabase(desired) && !this.#isDatabaseUp(id)) throw new Error('its server is down');
    await fill({ socketDir: '/' }, { database: unfinished(desired), role: '', password: '' });
    this.copies.set(id, options.isCopy);
    this.present.add(id);
    this.marks.set(id, identity);
    this.changes += 1;
  }

  async awaitRequests({ id }: DesiredInstance): Promise<void> {
    if (!this.present.has(id)) throw new Error(`database ${id} does not exist`);
  }

  async trim(plans: readonly Plan[]): Promise<string[]> {
    this.#checkHere();
    const wanted = plans.flatMap(({ modules, languages }) =>
      languages.map((lang) => templateOf(modules, lang)),
    );
    const dropped = [...this.stale].filter((template) => !wanted.includes(template));
    for (const template of dropped) this.templates.delete(template);
    return dropped;
  }

  /** @returns whether it was not there yet. */
  #buildTemplate(modules: readonly string[], lang: string): boolean {
    if (modules.includes('no_such_module'))
      throw new TerminalError('ModulesMissing', 'These modules could not be installed.', {
        detail: 'no_such_module',
      });
    const template = templateOf(modules, lang);
    const isNew = !this.templates.has(template);
    this.templates.add(template);
    return isNew;
  }

  #checkHere(): void {
    if (this.isAway)
      throw new RetryableError('PostgresUnavailable', 'The database server does not answer.');
  }
}

function unfinished({ id }: DesiredInstance): string {
  return `${id}_new`;
}

function templateOf(modules: readonly string[], lang: string): string {
  return JSON.stringify([modules, lang]);
}
