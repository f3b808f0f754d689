/**
 * Every outside name derives from the install id and the number Odoo gave out under a UNIQUE constraint.
 * Customer text never takes part, so two names that look alike share nothing.
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

/** The instance whose database has this name, or null when it is none of this install's. */
export function instanceOfDatabase(install: string, name: string): number | null {
  const prefix = `ms_${checked(install)}_`;
  const id = Number(name.slice(prefix.length));
  return Number.isSafeInteger(id) && id > 0 && name === `${prefix}${id}` ? id : null;
}

/** A Linux bridge carries at most 1,024 ports (lab.md), so each network takes this many instances. */
const INSTANCES_PER_NETWORK = 500;

/** The network an instance joins, `ms-<install>-net-<n>`: decided by its number alone. */
export function networkOf(install: string, id: number): string {
  return `ms-${checked(install)}-net-${Math.ceil(positiveInteger(id) / INSTANCES_PER_NETWORK)}`;
}

export function isInstanceNetwork(install: string, network: string): boolean {
  return network.startsWith(`ms-${checked(install)}-net-`);
}

/** The longest name of a network interface on Linux (IFNAMSIZ, its closing zero not counted). */
const LONGEST_INTERFACE = 15;

/** The Linux bridge of an instances' network, `ms-<install>-<n>`: Docker would make one up. */
export function bridgeOf(network: string): string {
  const bridge = network.replace('-net-', '-');
  if (bridge.length > LONGEST_INTERFACE) throw new TypeError(`too long for a bridge: ${bridge}`);
  return bridge;
}

/** All bridges of an install, those that are still to be made too, as nftables writes it. */
export function bridgesOf(install: string): string {
  return `ms-${checked(install)}-*`;
}

/** The table of nftables with the rules for an install's instances. */
export function firewallTable(install: string): string {
  return `ms_${checked(install)}`;
}

/** A template database: the name is the index (see databases/template-database.ts). */
export function templateDatabaseName(install: string, hash: string): string {
  if (!/^[0-9a-f]{16}$/.test(hash)) throw new TypeError(`not a template hash: ${hash}`);
  return `${templatePrefix(install)}${hash}`;
}

/** How the names of all template databases of an install begin, and no others'. */
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
