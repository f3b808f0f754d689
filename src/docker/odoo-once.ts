import type { Command } from '../host/exec.ts';
import type { UnixUser } from '../host/files.ts';
import { type HelperKind, hardenedRun, LOWEST_PRIORITY } from './helpers.ts';
import type { PostgresAccess } from './postgres-access.ts';

/** A container in which Odoo's command line runs once on one database, and reaches nothing else. */
export interface OdooOnce {
  readonly install: string;
  readonly kind: HelperKind;
  /** The container's name. */
  readonly container: string;
  readonly image: string;
  readonly owner: UnixUser;
  /** Absolute paths on the host: odoo.conf, and the filestores' folder, '' for none. */
  readonly conf: string;
  readonly filestoreDir: string;
  readonly database: string;
  readonly access: PostgresAccess;
  /** It has what customers leave of the processors. */
  readonly isLowPriority?: boolean;
  /** Folders of the host where Odoo finds modules, and where it sees them. */
  readonly addons: ReadonlyArray<{ readonly path: string; readonly target: string }>;
}

/** @param subcommand of `odoo`, such as `shell`, which reads from stdin */
export function odooOnce(
  {
    access,
    addons,
    conf,
    container,
    database,
    filestoreDir,
    isLowPriority,
    owner,
    ...run
  }: OdooOnce,
  subcommand: readonly string[],
  options: readonly string[],
): Command {
  return hardenedRun({
    ...run,
    network: access.network,
    isInteractive: true,
    pids: 256,
    // Odoo's own limit is 2.5 GiB of addresses (limit_memory_hard); the rest is for /tmp.
    memory: '3g',
    options: [
      `--name=${container}`,
      ...(isLowPriority ? [LOWEST_PRIORITY] : []),
      '--tmpfs=/tmp',
      `--tmpfs=/var/lib/odoo:uid=${owner.uid},gid=${owner.gid},mode=0700`,
      `--volume=${conf}:/etc/odoo/odoo.conf:ro`,
      ...access.options,
      ...(filestoreDir ? [`--volume=${filestoreDir}:/var/lib/odoo/filestore`] : []),
      // The image declares a volume here, and the mounts below need a folder.
      ...(addons.length > 0 ? ['--tmpfs=/mnt/extra-addons:mode=0555,size=64k'] : []),
      ...addons.map(({ path, target }) => `--volume=${path}:${target}:ro`),
    ],
    entrypoint: 'odoo',
    args: [
      ...subcommand,
      ...['--config=/etc/odoo/odoo.conf', `--database=${database}`, '--no-http'],
      // Thousands of other lines would push the error out of the part of stderr that is kept.
      ...['--log-level=warn', ...options],
    ],
  });
}
