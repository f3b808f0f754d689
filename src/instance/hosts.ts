import type { CustomerDomain, DesiredInstance } from './types.ts';

/** What of an instance its host names are made from. */
export type Named = Pick<DesiredInstance, 'id' | 'subdomain' | 'formerSubdomains' | 'domains'>;

/**
 * Whose each host name is. A host is that of the instance whose present name it is, else of the one whose verified domain, else of the
 * one that had the name before; of several alike, that of the oldest. Names that Odoo gives are nobody else's; this holds all the same.
 * @param domain below which instances have their names
 */
export function hostOwners<T extends Named>(
  domain: string,
  instances: readonly T[],
): Map<string, T> {
  const byAge = [...instances].sort((one, other) => one.id - other.id);
  const below = (label: string) => (label === '' ? [] : [`${label}.${domain}`]);
  const kinds: ((instance: T) => string[])[] = [
    ({ subdomain }) => below(subdomain),
    (instance) => verifiedDomains(instance).map(({ name }) => name),
    ({ formerSubdomains }) => formerSubdomains.flatMap(below),
  ];
  const owners = new Map<string, T>();
  for (const hosts of kinds)
    for (const instance of byAge)
      for (const host of hosts(instance)) if (!owners.has(host)) owners.set(host, instance);
  return owners;
}

/** The customer's own domains at which an instance is served. */
export function verifiedDomains({ domains }: Pick<Named, 'domains'>): CustomerDomain[] {
  return domains.filter(({ isVerified }) => isVerified);
}
