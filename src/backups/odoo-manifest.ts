import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import type { Cluster } from '../postgres/cluster.ts';
import { LOOK, type TenantLogin } from '../postgres/tenant-session.ts';

/** How many modules are listed at most: all that there are of Odoo's are some 900. */
const MAX_MODULES = 5_000;

/** A module is a Python package. */
const MODULE = /^[a-z_][a-z0-9_]{0,63}$/i;

/** `19.0.1.3`; of an Odoo between two releases, `saas~18.2.1.0`. */
const VERSION = /^[\w.~+-]{1,32}$/;
const OF_BASE = /^(saas~\d{1,3}|\d{1,3})\.(\d{1,2})\./;

/** What Odoo writes beside a dump: service/db.py, `dump_db_manifest`. */
export interface OdooManifest {
  readonly odoo_dump: '1';
  readonly db_name: string;
  readonly version: string;
  readonly version_info: readonly [number | string, number, number, string, number, string];
  readonly major_version: string;
  readonly pg_version: string;
  /** Each installed module's version; null where the database has none. */
  readonly modules: Readonly<Record<string, string | null>>;
}

/** A module as the database has it, in a tenant's words. */
export interface InstalledModule {
  readonly name: string;
  readonly version: string | null;
}

/**
 * Reads the manifest of a restored database, as its tenant.
 * @param name the database's name where it came from
 */
export async function readOdooManifest(
  cluster: Cluster,
  login: TenantLogin,
  name: string,
): Promise<OdooManifest> {
  const row = z.object({ name: z.string(), version: z.string().nullable() });
  const { modules, server } = await cluster.enter(login, LOOK, async (session) => ({
    modules: await session.rows(
      row,
      `SELECT left(name::text, 100) AS name, left(latest_version::text, 100) AS version
         FROM public.ir_module_module WHERE state::text = 'installed' ORDER BY 1 LIMIT ${MAX_MODULES}`,
    ),
    server: await session.rows(
      z.object({ version: z.coerce.number().int() }),
      `SELECT pg_catalog.current_setting('server_version_num') AS version`,
    ),
  }));
  return odooManifest(name, Math.floor((server[0]?.version ?? 0) / 10_000), modules);
}

/**
 * The manifest of a database with these modules. The names and versions that none can have are left out. Of which Odoo it is says its
 * module `base`: the release's own date is not in the database.
 * @param postgres the server's major version
 * @throws TerminalError('ProofDatabase') where `base` has no version
 */
export function odooManifest(
  name: string,
  postgres: number,
  modules: readonly InstalledModule[],
): OdooManifest {
  const known = modules.filter(
    (one) => MODULE.test(one.name) && (one.version === null || VERSION.test(one.version)),
  );
  const base = known.find((one) => one.name === 'base')?.version ?? '';
  const [, major, minor] = OF_BASE.exec(base) ?? [];
  if (major === undefined || minor === undefined)
    throw new TerminalError('ProofDatabase', 'It is no database of Odoo.', {
      detail: 'the module base has no version',
    });
  return {
    odoo_dump: '1',
    db_name: name,
    version: `${major}.${minor}`,
    version_info: [/^\d+$/.test(major) ? Number(major) : major, Number(minor), 0, 'final', 0, ''],
    major_version: `${major}.${minor}`,
    pg_version: `${postgres}.0`,
    modules: Object.fromEntries(known.map((one) => [one.name, one.version])),
  };
}
