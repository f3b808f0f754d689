import type { CustomerDomain, DesiredInstance } from './types.ts';

/** The first of the customer's own domains that can be the instance's address. */
export function addressDomain(
  domains: readonly CustomerDomain[],
  https: boolean,
): CustomerDomain | undefined {
  return domains.find(({ hasCertificate, isVerified }) => isVerified && (hasCertificate || !https));
}

/** What of an instance its address is made from. */
export type Addressed = Pick<DesiredInstance, 'id' | 'ports' | 'subdomain' | 'domains'>;

/**
 * Where people reach an instance: the first of its own domains that can be its address, else the pattern.
 * @param pattern the setting `instances.url`, with `{name}`, `{port}` and `{id}` to be filled in
 */
export function instanceUrl(pattern: string, { id, ports, subdomain, domains }: Addressed): string {
  const own = addressDomain(domains, pattern.startsWith('https:'));
  // A domain of the customer's own is served at the usual ports only.
  if (own && pattern.includes('{name}')) return `${pattern.split('://')[0]}://${own.name}`;
  return pattern
    .replaceAll('{name}', subdomain)
    .replaceAll('{port}', String(ports?.http ?? ''))
    .replaceAll('{id}', String(id));
}
