/**
 * Every external name derives from the install id and the instance's id in Odoo, which is unique.
 * Customer text never takes part, so instances with similar names share nothing.
 */
const INSTALL_ID = /^[a-z][a-z0-9]{5}$/;

export function isInstallId(text: string): boolean {
  return INSTALL_ID.test(text);
}

/** Compose project, and prefix of its containers: `ms-<install>-<id>`. */
export function projectName(install: string, id: number): string {
  return `ms-${checked(install)}-${positiveInteger(id)}`;
}

/** Database and role: `ms_<install>_<id>`. */
export function databaseName(install: string, id: number): string {
  return `ms_${checked(install)}_${positiveInteger(id)}`;
}

/** The id of the instance whose database has this name, or null when it is none of this install's. */
export function instanceOfDatabase(install: string, name: string): number | null {
  const prefix = `ms_${checked(install)}_`;
  const id = Number(name.slice(prefix.length));
  return Number.isSafeInteger(id) && id > 0 && name === `${prefix}${id}` ? id : null;
}

/** A Linux bridge has at most 1,024 ports (BR_MAX_PORTS in net/bridge/br_private.h), so each network takes this many instances. */
const INSTANCES_PER_NETWORK = 500;

/** The Docker network of an instance, `ms-<install>-net-<n>`, derived from its id alone. */
export function networkOf(install: string, id: number): string {
  return `ms-${checked(install)}-net-${Math.ceil(positiveInteger(id) / INSTANCES_PER_NETWORK)}`;
}

export function isInstanceNetwork(install: string, network: string): boolean {
  return network.startsWith(`ms-${checked(install)}-net-`);
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
  return `ms-${checked(install)}-*`;
}

/** The nftables table with the rules for an install's instances. */
export function firewallTable(install: string): string {
  return `ms_${checked(install)}`;
}

/** The name of a template database; it is looked up by this name alone (databases/template-database.ts). */
export function templateDatabaseName(install: string, hash: string): string {
  if (!/^[0-9a-f]{16}$/.test(hash)) throw new TypeError(`not a template hash: ${hash}`);
  return `${templatePrefix(install)}${hash}`;
}

/** The prefix of the names of all template databases of an install, and of no other databases. */
export function templatePrefix(install: string): string {
  return `ms_${checked(install)}_t_`;
}

function checked(install: string): string {
  if (!isInstallId(install))
    throw new TypeError(`not an install id: ${JSON.stringify(install)} (expected ${INSTALL_ID})`);
  return install;
}

function positiveInteger(n: number): number {
  if (!Number.isSafeInteger(n) || n < 1) throw new TypeError(`not a positive whole number: ${n}`);
  return n;
}
