import { checkedInstall, positiveInteger } from '../instance/name.ts';

/** A Linux bridge has at most 1,024 ports (BR_MAX_PORTS in net/bridge/br_private.h), so each network takes this many instances. */
const INSTANCES_PER_NETWORK = 500;

/** The Docker network of an instance, `ms-<install>-net-<n>`, derived from its id alone. */
export function networkOf(install: string, id: number): string {
  return `ms-${checkedInstall(install)}-net-${Math.ceil(positiveInteger(id) / INSTANCES_PER_NETWORK)}`;
}

/** The network of all staging copies, and of helpers that need the database server: the firewall lets nothing else out of it. A bridge has ports for a thousand of them. */
export function closedNetwork(install: string): `ms-${string}` {
  return `ms-${checkedInstall(install)}-net-c`;
}

export function isInstanceNetwork(install: string, network: string): boolean {
  return network.startsWith(`ms-${checkedInstall(install)}-net-`);
}

/** The longest name of a network interface on Linux (IFNAMSIZ without the terminating zero). */
const MAX_INTERFACE_NAME_LENGTH = 15;

/** The Linux bridge of an instance network, `ms-<install>-<n>`, so that firewall rules can name it before it exists. */
export function bridgeOf(network: string): string {
  const bridge = network.replace('-net-', '-');
  if (bridge.length > MAX_INTERFACE_NAME_LENGTH)
    throw new TypeError(`too long for a bridge: ${bridge}`);
  return bridge;
}

/** All bridges of an install, future ones included, as an nftables pattern. */
export function bridgesOf(install: string): string {
  return `ms-${checkedInstall(install)}-*`;
}

/** The nftables table with the rules for an install's instances. */
export function firewallTable(install: string): string {
  return `ms_${checkedInstall(install)}`;
}
