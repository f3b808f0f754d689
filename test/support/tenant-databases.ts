import { join } from 'node:path';
import { OdooDatabases, type OdooDatabasesOptions } from '../../src/databases/databases.ts';
import { runOdooInit } from '../../src/databases/odoo-init.ts';
import { PasswordPool } from '../../src/databases/password-pool.ts';
import { dockerCli } from '../../src/docker/docker-cli.ts';
import { InstanceDirs } from '../../src/files/instance-dir.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { flushFileSystem, runServer } from '../../src/postgres/scratch-postgres.ts';
import { images } from '../../stack/images.ts';
import { run } from '../../stack/run.ts';
import type { TenantPostgres } from './tenant-postgres.ts';

export const docker = dockerCli('/var/run/docker.sock');

/** The sidecar's own code for databases on a real Postgres, and the folders it keeps. */
export interface TenantDatabases {
  readonly databases: OdooDatabases;
  readonly dirs: InstanceDirs;
  /** Fills a template database with a real Odoo. */
  readonly init: OdooDatabasesOptions['init'];
  readonly imageId: string;
}

/** @param change what differs from what the sidecar itself would say */
export async function tenantDatabases(
  { dataDir, install, server }: TenantPostgres,
  change: (usual: OdooDatabasesOptions) => Partial<OdooDatabasesOptions> = () => ({}),
): Promise<TenantDatabases> {
  const passwords = new PasswordPool();
  const dirs = new InstanceDirs(dataDir, () => passwords.take());
  const imageId = await run('docker', ['image', 'inspect', '--format', '{{.Id}}', images.odoo]);
  const owner = await odooUser();
  const usual: OdooDatabasesOptions = {
    install,
    shared: server,
    templatesDir: join(dataDir, 'templates'),
    ownTemplatesDir: join(dataDir, 'templates-own'),
    runServer: (asked) => runServer({ install, docker }, asked),
    flush: flushFileSystem,
    passwords,
    init: (asked) => runOdooInit({ install, docker }, { ...asked, checkouts: [], owner }),
    specOf: async (desired) => {
      const { adminPassword, dbPassword } = await dirs.makeSecrets(desired.id);
      return {
        own: null,
        ...{ image: images.odoo, imageId, owner, dbPassword, adminPassword },
        filestoreDir: dirs.paths(desired.id).filestore,
        adminLogin: desired.customer.email,
        url: `http://127.0.0.1:${desired.id}`,
      };
    },
    sourceOf: async () => ({ image: images.odoo, imageId, owner, postgres: null }),
    currentImageId: async () => imageId,
  };
  const databases = new OdooDatabases({ ...usual, ...change(usual) });
  return { databases, dirs, init: usual.init, imageId };
}

/** Makes an instance's database, as the controller has it made. */
export async function makeDatabase(
  databases: OdooDatabases,
  desired: DesiredInstance,
): Promise<void> {
  const clone = await databases.clone(desired, () => {}, new AbortController().signal);
  await databases.personalise(desired, clone);
}

async function odooUser(): Promise<{ uid: number; gid: number }> {
  const asked = ['run', '--rm', '--network', 'none', '--entrypoint', 'id', '--', images.odoo];
  const [, uid, gid] = /uid=(\d+).*?gid=(\d+)/.exec(await run('docker', asked)) ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}
