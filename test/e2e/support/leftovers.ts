import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { images } from '../../../stack/images.ts';
import type { ManagerStack } from '../../../stack/manager.ts';
import { run } from '../../../stack/run.ts';
import { quoted, withSql } from '../../../stack/sql.ts';
import { containersWith, discard, namesWith } from './docker.ts';

/** The label of the stack's own containers; instances do not have it. */
const PART = 'microsaas.part';

/**
 * Removes everything that instances of an earlier run (or this one) have left, without the product: containers,
 * networks, folders, databases. The template databases are kept, because they take long to build.
 */
export async function discardInstances(stack: ManagerStack): Promise<void> {
  const label = `microsaas.install=${stack.install}`;
  const containers = await containersWith(label);
  const instances = containers.filter((it) => !(PART in it.Config.Labels));
  await discard(
    'container',
    instances.map((it) => it.Id),
  );
  const networks = await namesWith('network', label);
  await discard(
    'network',
    networks.filter((name) => name !== stack.containers.network),
  );
  await discardFolders(stack);
  await discardDatabases(stack);
}

/** Their content belongs to other users: root in a container removes it. */
async function discardFolders(stack: ManagerStack): Promise<void> {
  const mount = `type=bind,source=${stack.files.dataDir},target=/data`;
  const asRoot = ['run', '--rm', '--network', 'none', '--user', '0', '--mount', mount];
  const remove = ['--entrypoint', 'rm', '--', images.postgres, '-rf', '--'];
  await run('docker', [
    ...asRoot,
    ...remove,
    '/data/instances',
    '/data/checkouts',
    // The manager's database is a new one: with the memory of the earlier one the sidecar would distrust it.
    '/data/manager.json',
  ]);
  await mkdir(join(stack.files.dataDir, 'instances'), { mode: 0o700 });
}

async function discardDatabases(stack: ManagerStack): Promise<void> {
  const server = await stack.tenantSql();
  const instance = `^ms_${stack.install}_[0-9]+(_new|_restoring|_restored|_before)?$`;
  await withSql(server, 'postgres', async (sql) => {
    const databases = await sql('SELECT datname FROM pg_database WHERE datname ~ $1', [instance]);
    for (const { datname } of databases)
      await sql(`DROP DATABASE ${quoted(String(datname))} WITH (FORCE)`);
    const roles = await sql('SELECT rolname FROM pg_roles WHERE rolname ~ $1', [instance]);
    for (const { rolname } of roles) await sql(`DROP ROLE ${quoted(String(rolname))}`);
  });
}
