import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { RetryableError, TerminalError } from '../errors.ts';
import { PRIVATE_NETWORKS } from '../host/private-networks.ts';

/** A host and the addresses at which it may be asked. */
export interface PinnedHost {
  readonly name: string;
  readonly port: string;
  readonly addresses: readonly string[];
}

const privateNetworks = new BlockList();
for (const [type, networks] of Object.entries(PRIVATE_NETWORKS))
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    privateNetworks.addSubnet(address, Number(bits), type as 'ipv4' | 'ipv6');
  }

/** Whether an address belongs to this machine or to a network of its own. An IPv4 address inside an IPv6 one counts as itself. */
export function isPrivate(address: string): boolean {
  return privateNetworks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/**
 * Looks up the host of a repository: a person who writes an address into Odoo must not make the sidecar talk to what listens on
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
      'RepositoryPrivateHost',
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
