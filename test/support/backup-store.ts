import { join } from 'node:path';
import { BackupKeys } from '../../src/backups/backup-keys.ts';
import { BackupStore, type BackupStoreOptions } from '../../src/backups/backup-store.ts';
import { DockerApi } from '../../src/docker/docker-api.ts';
import { Images } from '../../src/docker/images.ts';
import { PgTools } from '../../src/postgres/pg-tools.ts';
import { ProofServer } from '../../src/postgres/proof-server.ts';
import { Restic } from '../../src/restic/restic.ts';
import { images } from '../../stack/images.ts';
import { docker, type TenantDatabases } from './tenant-databases.ts';
import type { TenantPostgres } from './tenant-postgres.ts';

/**
 * Backups of what is on a test's Postgres, with a real restic, in a folder of its data. There is room for all of them, no other host, and no
 * Odoo is started, unless `over` says otherwise. The proof server is to be closed.
 */
export function backupStore(
  { dataDir, install }: Pick<TenantPostgres, 'dataDir' | 'install'>,
  { databases, dirs }: Pick<TenantDatabases, 'databases' | 'dirs'>,
  over: Partial<BackupStoreOptions> = {},
) {
  const folder = join(dataDir, 'backups');
  const base = join(folder, 'repositories');
  const here = new Images(install, new DockerApi('/var/run/docker.sock'), docker);
  const keys = new BackupKeys(install, base, folder);
  const restic = new Restic(install, images.base, docker, {
    ...{ base, environmentFile: '', sshFolder: '' },
  });
  const tools = new PgTools(install, images.postgres, docker);
  const disk = { checkRoom: async () => {} };
  const proofServer = new ProofServer({
    ...{ install, docker, name: 'proof', image: images.postgres, folder: join(folder, 'proof') },
    user: () => here.user(images.postgres, 'postgres'),
  });
  const store = new BackupStore({
    ...{ install, dirs, disk, keys, proofServer, restic, tools },
    folder: join(folder, 'work'),
    requireHost: async () => {},
    bootCopy: async () => false,
    heldForBackup: (desired, work) => databases.heldForBackup(desired, work),
    ...over,
  });
  return { base, disk, here, keys, proofServer, restic, store, tools };
}
