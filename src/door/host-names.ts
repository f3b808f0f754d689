import { isIPv6 } from 'node:net';
import { addressDomain } from '../instance/instance-url.ts';
import type { DoorRoute } from '../interfaces.ts';
import type { CaddySettings } from './caddy-config.ts';

/** Where a host's requests go; '' stands for nowhere. */
export interface HostMapping {
  readonly host: string;
  readonly http: string;
  readonly longpolling: string;
  readonly redirect: string;
}

/**
 * Every host of an instance with its upstreams, sorted; former names, and all others beside a domain that is the address, redirect. A
 * verified domain without a certificate is served already, and does not redirect anybody yet. Caddy refuses a configuration in which
 * a host is there twice, so one mistake would keep everybody's changes out: a host is that of the instance whose present name it is,
 * else of the one whose domain, else of the one that had the name before; of several alike, that of the oldest.
 */
export function hostMappings(settings: CaddySettings, routes: readonly DoorRoute[]): HostMapping[] {
  const byHost = new Map<string, HostMapping>();
  for (const { host, route } of claims(settings.domain, routes))
    if (!byHost.has(host)) byHost.set(host, mapping(settings, host, route));
  return [...byHost.values()].sort((one, other) => (one.host < other.host ? -1 : 1));
}

/** The host names for which certificates are ordered, sorted. */
export function certificateNames(
  { domain, manager, wildcard }: CaddySettings,
  routes: readonly DoorRoute[],
): string[] {
  const own = routes.flatMap(verifiedDomains);
  const below = routes.flatMap((route) => [route.subdomain, ...route.formerSubdomains]);
  const labels = [manager, ...below].filter((label) => label !== '');
  const names = wildcard ? own : [...own, ...labels.map((label) => `${label}.${domain}`)];
  return [...new Set(names)].sort();
}

/** `:8080` where the port is not the usual one. */
export function portOf({ https, httpPort, httpsPort }: CaddySettings): string {
  if (https) return httpsPort === 443 ? '' : `:${httpsPort}`;
  return httpPort === 80 ? '' : `:${httpPort}`;
}

/** Who says that a host is theirs, the best claim to it first. */
function claims(
  domain: string,
  routes: readonly DoorRoute[],
): { readonly host: string; readonly route: DoorRoute }[] {
  const byAge = [...routes].sort((one, other) => one.id - other.id);
  const below = (label: string) => (label === '' ? [] : [`${label}.${domain}`]);
  const kinds: ((route: DoorRoute) => string[])[] = [
    ({ subdomain }) => below(subdomain),
    verifiedDomains,
    ({ formerSubdomains }) => formerSubdomains.flatMap(below),
  ];
  return kinds.flatMap((hosts) =>
    byAge.flatMap((route) => hosts(route).map((host) => ({ host, route }))),
  );
}

function mapping(settings: CaddySettings, host: string, route: DoorRoute): HostMapping {
  const { domain, https, publishAddress } = settings;
  const { subdomain, domains, ports } = route;
  const at = isIPv6(publishAddress) ? `[${publishAddress}]` : publishAddress;
  const scheme = https ? 'https' : 'http';
  const address =
    addressDomain(domains, https)?.name ?? (subdomain === '' ? '' : `${subdomain}.${domain}`);
  return {
    host,
    http: ports ? `${at}:${ports.http}` : '',
    longpolling: ports ? `${at}:${ports.longpolling}` : '',
    redirect: host === address || address === '' ? '' : `${scheme}://${address}${portOf(settings)}`,
  };
}

function verifiedDomains({ domains }: DoorRoute): string[] {
  return domains.filter(({ isVerified }) => isVerified).map(({ name }) => name);
}
