import { hostOwners } from '../instance/hosts.ts';
import type { CustomerDomain, DesiredInstance } from '../instance/types.ts';
import type { DoorRoute } from '../interfaces.ts';

/** The routes that the door was given last, by instance and by host name. */
export class DoorRoutes {
  readonly #domain: string;
  readonly #onChange: () => void;
  #byId = new Map<number, DoorRoute>();
  #byHost: ReadonlyMap<string, DoorRoute> | null = null;
  #domainById = new Map<number, CustomerDomain>();

  /**
   * @param domain below which instances have their names
   * @param onChange called when an instance's names or ports are no longer those of the routes
   */
  constructor(domain: string, onChange: () => void) {
    this.#domain = domain;
    this.#onChange = onChange;
  }

  replace(routes: readonly DoorRoute[]): void {
    this.#byId = new Map(routes.map((route) => [route.id, route]));
    this.#byHost = hostOwners(this.#domain, routes);
    this.#domainById = new Map(
      routes.flatMap(({ domains }) => domains.map((domain) => [domain.id, domain])),
    );
  }

  /** Compares an instance, as Odoo has it now, with its route. */
  compare(desired: DesiredInstance): void {
    const route = this.#byId.get(desired.id);
    const isCopy = desired.copyOf !== null;
    const isGone = isCopy
      ? desired.desiredState === 'removed'
      : desired.state === 'removed' && desired.subscription?.dataRemovedAt != null;
    const wanted = { ...desired, isCopy };
    if (isGone ? route !== undefined : signature(wanted) !== signature(route)) this.#onChange();
  }

  /** The instance that has this host name; null: nobody's; undefined: the names are not known yet. */
  instanceAt(host: string): number | null | undefined {
    return this.#byHost === null ? undefined : (this.#byHost.get(host)?.id ?? null);
  }

  /** Every host name of an instance, the customers' verified domains included; none before the routes are known. */
  get hosts(): string[] {
    return [...(this.#byHost?.keys() ?? [])];
  }

  /**
   * What proves that a customer's domain, verified or not, leads to this host; null: that domain has another name, or there is none.
   * @param id of the domain: several customers may have entered the name
   */
  domainToken(host: string, id: number): string | null {
    const domain = this.#domainById.get(id);
    return domain?.name === host ? domain.token : null;
  }
}

/** Equal for the same names, domains and ports. */
function signature(route: Omit<DoorRoute, 'id'> | undefined): string {
  if (!route) return '';
  const { subdomain, formerSubdomains, domains, isCopy = false, ports } = route;
  return JSON.stringify([
    isCopy,
    subdomain,
    [...formerSubdomains].sort(),
    domains.map((it) => [it.id, it.name, it.isVerified, it.hasCertificate, it.token]),
    ports && [ports.http, ports.longpolling],
  ]);
}
