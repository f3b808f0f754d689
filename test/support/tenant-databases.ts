import type { Specs } from '../../src/databases/database-spec.ts';
import { OdooDatabases, type OdooDatabasesOptions } from '../../src/databases/databases.ts';
import { odooInit } from '../../src/databases/odoo-init.ts';
import { PasswordPool } from '../../src/databases/password-pool.ts';
import { DockerApi } from '../../src/docker/docker-api.ts';
import { dockerCli } from '../../src/docker/docker-cli.ts';
import { Images } from '../../src/docker/images.ts';
import { ComposeEngine } from '../../src/engine/compose.ts';
import { DirectoryMarks } from '../../src/files/directory-mark.ts';
import { InstanceDirs } from '../../src/files/instance-dir.ts';
import { loadTemplates } from '../../src/files/templates.ts';
import { databaseName } from '../../src/instance/name.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { Repositories } from '../../src/repositories/repositories.ts';
import { images } from '../../stack/images.ts';
import { withSql } from '../../stack/sql.ts';
import { installedOnce } from './installed-once.ts';
import type { TenantPostgres } from './tenant-postgres.ts';

const SOCKET = '/var/run/docker.sock';

export const docker = dockerCli(SOCKET);

/** The sidecar's database service on a real Postgres, and its folders. */
export interface TenantDatabases {
  readonly databases: OdooDatabases;
  readonly dirs: InstanceDirs;
  /** Initialises a template database as a real Odoo does. */
  readonly init: OdooDatabasesOptions['init'];
  readonly imageId: string;
}

/**
 * @param change options that differ from the sidecar's own
 * @param isAnew whether Odoo is to install what an earlier test has had installed: for tests that look for names in what it writes
 */
export async function tenantDatabases(
  { dataDir, install, server }: TenantPostgres,
  change: (usual: OdooDatabasesOptions) => Partial<OdooDatabasesOptions> = () => ({}),
  isAnew = false,
): Promise<TenantDatabases> {
  const passwords = new PasswordPool();
  const dirs = new InstanceDirs(dataDir, () => passwords.take());
  const here = new Images(install, new DockerApi(SOCKET), docker);
  const [imageId, owner] = await Promise.all([here.id(images.odoo), here.user(images.odoo)]);
  const repositories = new Repositories({ dataDir, allowedProtocols: ['https'] });
  const specs: Specs = {
    of: async (desired) => {
      const { adminPassword, dbPassword } = await dirs.makeSecrets(desired.id);
      return {
        own: null,
        ...{ dbPassword, adminPassword },
        filestoreDir: dirs.paths(desired.id).filestore,
        adminLogin: desired.customer.email,
        url: `http://127.0.0.1:${desired.id}`,
      };
    },
    entryOf: async (id) => ({ own: null, dbPassword: (await dirs.makeSecrets(id)).dbPassword }),
    imageOf: async () => ({ image: images.odoo, imageId, owner }),
    runs: async () => ({ image: imageId, odoo: await here.odooOf(imageId) }),
    source: async () => ({ image: images.odoo, imageId, owner, postgres: null }),
    currentImageId: async () => imageId,
  };
  const init = odooInit({ install, docker, images: here, repositories });
  const usual: OdooDatabasesOptions = {
    ...{ install, dataDir, docker, specs, passwords },
    shared: server,
    relay: null,
    neutralise: () => {
      throw new Error('no staging copies here');
    },
    init: isAnew ? init : installedOnce(init, install, docker),
  };
  const databases = new OdooDatabases({ ...usual, ...change(usual) });
  return { databases, dirs, init: usual.init, imageId };
}

/** The engine that starts real Odoos on these databases, in containers of this host. */
export async function composeEngine(
  { dataDir, install, server }: TenantPostgres,
  { dirs }: TenantDatabases,
): Promise<ComposeEngine> {
  const api = new DockerApi(SOCKET);
  return new ComposeEngine({
    ...{ install, api, docker, dirs },
    marks: new DirectoryMarks(dataDir, install),
    images: new Images(install, api, docker),
    templates: await loadTemplates('templates'),
    repositories: new Repositories({ dataDir, allowedProtocols: ['https'] }),
    sharedServer: { socketDir: server.socketDir },
    publishAddress: '127.0.0.1',
    urlPattern: 'http://127.0.0.1:{port}',
    answerTimeoutMs: 180_000,
  });
}

/** Makes an instance's database, as the controller has it made. */
export async function makeDatabase(
  databases: OdooDatabases,
  desired: DesiredInstance,
): Promise<void> {
  const clone = await databases.clone(desired, () => {}, new AbortController().signal);
  await databases.personalise(desired, clone);
}

/** Runs SQL in an instance's database as its tenant may. @returns the rows */
export async function sqlAsTenant(
  { install, server }: TenantPostgres,
  { dirs }: TenantDatabases,
  id: number,
  text: string,
): Promise<Array<Record<string, unknown>>> {
  const { dbPassword: password } = await dirs.secrets(id);
  const name = databaseName(install, id);
  return withSql({ ...server, user: name, password }, name, (sql) => sql(text));
}
