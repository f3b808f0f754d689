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
  return `ms-${checkedInstall(install)}-${positiveInteger(id)}`;
}

/** The container of an instance's Odoo. */
export function odooContainer(install: string, id: number): string {
  return `${projectName(install, id)}-odoo`;
}

/** Database and role: `ms_<install>_<id>`. */
export function databaseName(install: string, id: number): string {
  return `ms_${checkedInstall(install)}_${positiveInteger(id)}`;
}

/** The id of the instance whose database has this name, or null when it is none of this install's. */
export function instanceOfDatabase(install: string, name: string): number | null {
  const prefix = `ms_${checkedInstall(install)}_`;
  const id = Number(name.slice(prefix.length));
  return Number.isSafeInteger(id) && id > 0 && name === `${prefix}${id}` ? id : null;
}

/** The name of a template database; it is looked up by this name alone (databases/template-database.ts). */
export function templateDatabaseName(install: string, hash: string): string {
  if (!/^[0-9a-f]{16}$/.test(hash)) throw new TypeError(`not a template hash: ${hash}`);
  return `${templatePrefix(install)}${hash}`;
}

/** The prefix of the names of all template databases of an install, and of no other databases. */
export function templatePrefix(install: string): string {
  return `ms_${checkedInstall(install)}_t_`;
}

/** @throws TypeError unless it is an install id */
export function checkedInstall(install: string): string {
  if (!isInstallId(install))
    throw new TypeError(`not an install id: ${JSON.stringify(install)} (expected ${INSTALL_ID})`);
  return install;
}

/** @throws TypeError unless it can be the id of an instance */
export function positiveInteger(n: number): number {
  if (!Number.isSafeInteger(n) || n < 1) throw new TypeError(`not a positive whole number: ${n}`);
  return n;
}
