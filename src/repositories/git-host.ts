import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { RetryableError, TerminalError } from '../errors.ts';

/** A host and the addresses at which it may be asked. */
export interface PinnedHost {
  readonly name: string;
  readonly port: string;
  readonly addresses: readonly string[];
}

/** Networks that nobody on the internet can mean: this machine, its neighbours, and the cloud's own services (RFC 6890). */
const PRIVATE_NETWORKS: ReadonlyArray<readonly [network: string, bits: number]> = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
  ['::', 96],
  ['64:ff9b::', 96],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
];

const privateNetworks = new BlockList();
for (const [network, bits] of PRIVATE_NETWORKS)
  privateNetworks.addSubnet(network, bits, isIPv6(network) ? 'ipv6' : 'ipv4');

/** Whether an address belongs to this machine or to a network of its own. An IPv4 address inside an IPv6 one counts as itself. */
export function isPrivate(address: string): boolean {
  return privateNetworks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/**
 * Looks up the host of a repository: whoever writes an address into Odoo must not make the sidecar talk to what listens on
 * its own machine or network.
 * @param privateHosts names of hosts for which that is wanted all the same
 * @throws TerminalError RepositoryInvalid; RetryableError RepositoryUnreachable when the name has no address
 */
export async function pinHost(
  url: string,
  privateHosts: readonly string[] = [],
): Promise<PinnedHost> {
  const { hostname, port, protocol } = new URL(url);
  const addresses = await addressesOf(hostname, url);
  if (!privateHosts.includes(hostname) && addresses.some(isPrivate))
    throw new TerminalError(
      'RepositoryInvalid',
      `The repository ${url} lies on a private network. The operator can allow its host (repositories.privateHosts).`,
      { detail: url },
    );
  return { name: hostname, port: port || (protocol === 'http:' ? '80' : '443'), addresses };
}

async function addressesOf(hostname: string, url: string): Promise<string[]> {
  if (isIP(hostname)) return [hostname];
  try {
    return (await lookup(hostname, { all: true })).map(({ address }) => address);
  } catch (cause) {
    throw new RetryableError(
      'RepositoryUnreachable',
      `The repository ${url} could not be reached: its host has no address.`,
      { cause, detail: url },
    );
  }
}
