import { isIPv6 } from 'node:net';
import { hostOwners, verifiedDomains } from '../instance/hosts.ts';
import { addressDomain } from '../instance/instance-url.ts';
import type { DoorRoute } from '../interfaces.ts';
import type { CaddySettings } from './caddy-config.ts';

/** Where a host's requests go; '' stands for nowhere. */
export interface HostMapping {
  readonly host: string;
  readonly http: string;
  readonly longpolling: string;
  readonly redirect: string;
  /** Whether it can be reached by https: names below the domain always are to be. */
  readonly hasCertificate: boolean;
  /** Search engines are to leave it out. */
  readonly isHidden: boolean;
}

/**
 * Every host of an instance with its upstreams, sorted; former names, and all others beside a domain that is the address, redirect. A
 * verified domain without a certificate redirects to the address that has one, and nobody to it. Each host is there once: Caddy refuses
 * a configuration in which one is there twice, and so one mistake would keep everybody's changes out.
 */
export function hostMappings(settings: CaddySettings, routes: readonly DoorRoute[]): HostMapping[] {
  const owners = [...hostOwners(settings.domain, routes)];
  return owners
    .map(([host, route]) => mapping(settings, host, route))
    .sort((one, other) => (one.host < other.host ? -1 : 1));
}

/** The host names for which certificates are ordered, sorted. */
export function certificateNames(
  { domain, manager, wildcard }: CaddySettings,
  routes: readonly DoorRoute[],
): string[] {
  const own = routes.flatMap(verifiedDomains).map(({ name }) => name);
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

function mapping(settings: CaddySettings, host: string, route: DoorRoute): HostMapping {
  const { domain, https, publishAddress } = settings;
  const { address: place = publishAddress, subdomain, domains, ports } = route;
  const at = isIPv6(place) ? `[${place}]` : place;
  const scheme = https ? 'https' : 'http';
  const address =
    addressDomain(domains, https)?.name ?? (subdomain === '' ? '' : `${subdomain}.${domain}`);
  return {
    host,
    http: ports ? `${at}:${ports.http}` : '',
    longpolling: ports ? `${at}:${ports.longpolling}` : '',
    redirect: host === address || address === '' ? '' : `${scheme}://${address}${portOf(settings)}`,
    hasCertificate: domains.find(({ name }) => name === host)?.hasCertificate ?? true,
    isHidden: route.isCopy === true,
  };
}
