import { hashRandomSecret, randomSecret } from '../host/password-hash.ts';
import type { DesiredInstance, Spare } from '../instance/types.ts';
import type { RehearsedVisit } from '../interfaces.ts';
import { LOOK, TOUCH } from '../postgres/tenant-session.ts';
import type { Specs } from './database-spec.ts';
import { identityFor } from './new-database.ts';
import type { OutgoingMail } from './outgoing-mail.ts';
import type { PasswordPool } from './password-pool.ts';
import { beginRehearsal, endRehearsal, handOver, isHandedOver, NOBODY } from './spare-instance.ts';
import type { TenantAccess } from './tenant-access.ts';

export interface SpareDatabasesOptions {
  readonly access: TenantAccess;
  readonly specs: Specs;
  readonly passwords: PasswordPool;
  /** See NewDatabasesOptions. */
  readonly relay: OutgoingMail | null;
}

/** The databases of spare instances, from their completion to their hand-over: always as their own role, which will be the tenant's. */
export class SpareDatabases {
  readonly #options: SpareDatabasesOptions;

  constructor(options: SpareDatabasesOptions) {
    this.#options = options;
  }

  /** See Databases.beginRehearsal(). */
  async beginRehearsal(spare: Spare, lang: string): Promise<Omit<RehearsedVisit, 'lang'>> {
    const password = randomSecret();
    const hash = await hashRandomSecret(password);
    await this.#options.access.enter(spare, TOUCH, (session) =>
      beginRehearsal(session, hash, lang, spare.languages),
    );
    return { login: NOBODY, password };
  }

  /** See Databases.endRehearsal(). */
  async endRehearsal(spare: Spare): Promise<void> {
    await this.#options.access.enter(spare, TOUCH, endRehearsal);
  }

  /** See Databases.handOver(). */
  async handOver(desired: DesiredInstance): Promise<void> {
    const { access, passwords, relay, specs } = this.#options;
    const spec = await specs.of(desired);
    const hash = await passwords.hashOf(spec.adminPassword);
    await access.enter(desired, TOUCH, (session) =>
      handOver(session, identityFor(desired, spec, hash, relay), desired.identity),
    );
  }

  /** See Databases.isHandedOver(). */
  isHandedOver(desired: DesiredInstance): Promise<boolean> {
    return this.#options.access.enter(desired, LOOK, (session) =>
      isHandedOver(session, desired.identity),
    );
  }
}
