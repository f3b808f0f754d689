import { images } from '../../stack/images.ts';
import { installId } from '../../stack/install-id.ts';
import { ManagerDatabases } from '../../stack/manager-database.ts';
import { varPath } from '../../stack/paths.ts';
import type { SqlServer } from '../../stack/sql.ts';
import { StackContainers } from '../../stack/stack-containers.ts';
import { StackFiles } from '../../stack/stack-files.ts';
import { takeDown } from '../../stack/takedown.ts';

/** Only the customers' Postgres, as deploy/ configures it, with an install id of its own. */
export interface TenantPostgres {
  readonly install: string;
  /** The server, with the superuser's login. */
  readonly server: SqlServer;
  /** The dataDir of a sidecar of this install. */
  readonly dataDir: string;
  /** Kills it, as a power failure would, starts it again and waits until it answers. */
  readonly crash: () => Promise<void>;
  /** Removes it and everything of its install. */
  readonly remove: () => Promise<void>;
}

/** Starts the customers' Postgres, empty. @param name of its folder below `var/` */
export async function startTenantPostgres(name: string): Promise<TenantPostgres> {
  const dir = varPath(name);
  const install = await installId(varPath(`${name}-install-id`));
  await takeDown(install, dir);
  const files = new StackFiles(dir);
  const containers = new StackContainers(install, dir);
  const password = await files.secret('tenant-db-password');
  // Required by the Compose file, though its other services are not started.
  await files.secret('manager-db-password');
  await containers.ensureNetwork();
  await files.prepare(install);
  await files.writeEnvironment({
    INSTALL: install,
    DATA_DIR: files.dataDir,
    MANAGER_PORT: '8069',
    MANAGER_GATEWAY: '127.0.0.1',
    POSTGRES_IMAGE: images.postgres,
    SIDECAR_IMAGE: images.base,
  });
  const server = { socketDir: files.tenantSocketDir, user: 'microsaas', password };
  const start = async () => {
    await containers.compose(['up', '--detach', '--no-deps', '--', 'tenant-db']);
    await new ManagerDatabases(server).ready();
  };
  await start();
  return {
    install,
    server,
    dataDir: files.dataDir,
    crash: async () => {
      await containers.compose(['kill', '--', 'tenant-db']);
      await start();
    },
    remove: async () => void (await takeDown(install, dir)),
  };
}
