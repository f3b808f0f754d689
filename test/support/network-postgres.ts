import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { networkCreate } from '../../src/docker/commands.ts';
import { DockerApi } from '../../src/docker/docker-api.ts';
import { Images } from '../../src/docker/images.ts';
import { LABELS } from '../../src/docker/labels.ts';
import { closedNetwork, networkOf } from '../../src/docker/names.ts';
import type { NetworkServer } from '../../src/instance/types.ts';
import { Cluster, type ClusterAddress } from '../../src/postgres/cluster.ts';
import { freePort } from '../../stack/free-port.ts';
import { images } from '../../stack/images.ts';
import { installId } from '../../stack/install-id.ts';
import { varPath } from '../../stack/paths.ts';
import { run } from '../../stack/run.ts';
import { takeDown } from '../../stack/takedown.ts';
import { until } from '../../stack/until.ts';
import { makeCertificates } from './certificates.ts';
import { docker } from './tenant-databases.ts';

/** A primary and its synchronous standby, as docs/postgres.md asks for them, each at an address of this host that containers reach. */
export interface NetworkPostgres {
  readonly install: string;
  readonly dataDir: string;
  /** The standby first, then the primary. */
  readonly server: NetworkServer;
  /** The administrator, who is no superuser. */
  readonly admin: ClusterAddress;
  /** Of the cluster, for what the administrator may not. */
  readonly superuser: ClusterAddress;
  /** An authority that has signed none of their certificates. */
  readonly foreignCa: string;
  /** Puts another pg_hba.conf in the place of the usual one; null: that one again. */
  readonly admit: (lines: string | null) => Promise<void>;
  /** Sends a signal to one process of the primary. @param pid as Postgres has it */
  readonly signal: (name: 'STOP' | 'CONT', pid: number) => Promise<void>;
  /** Ends the primary, as a power failure would, and promotes the standby. */
  readonly failOver: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

/** What docs/postgres.md says. */
export const HBA = `
hostssl  replication  replicator  all  scram-sha-256
hostssl  all          superuser   all  scram-sha-256
hostssl  all          microsaas   all  scram-sha-256
hostssl  samerole     all         all  scram-sha-256
hostssl  postgres     all         all  scram-sha-256
host     all          all         all  reject
`;

/** @param name of its folder below `var/` */
export async function startNetworkPostgres(name: string): Promise<NetworkPostgres> {
  const dir = varPath(name);
  const install = await installId(varPath(`${name}-install-id`));
  await takeDown(install, dir);
  const dataDir = join(dir, 'data');
  const shared = join(dir, 'shared');
  for (const folder of [dataDir, shared]) await mkdir(folder, { recursive: true });
  const here = new Images(install, new DockerApi('/var/run/docker.sock'), docker);
  const owner = await here.user(images.postgres, 'postgres');
  const user = `--user=${owner.uid}:${owner.gid}`;
  const password = randomBytes(18).toString('base64url');
  const [primary, standby] = [
    await gatewayOf(install, networkOf(install, 1)),
    await gatewayOf(install, closedNetwork(install)),
  ];
  const port = await freePort(25_432);
  const caFile = join(dataDir, 'postgres-ca.crt');
  await makeCertificates(shared, [primary, standby]);
  await run('cp', [join(shared, 'ca.crt'), caFile]);
  await writeFile(join(shared, 'password'), password);
  await writeFile(join(shared, 'pg_hba.conf'), HBA);
  for (const file of ['server.key', 'password', 'pg_hba.conf', 'server.crt']) {
    await chown(join(shared, file), owner.uid, owner.gid);
    await chmod(join(shared, file), file.endsWith('.key') ? 0o600 : 0o644);
  }

  const inContainer = async (options: readonly string[], program: string, ...args: string[]) => {
    const label = `--label=${LABELS.install}=${install}`;
    const volumes = [`--volume=${shared}:/shared:ro`];
    const common = ['run', '--network=host', label, user, ...volumes, ...options];
    await run('docker', [...common, `--entrypoint=${program}`, '--', images.postgres, ...args]);
  };
  const dataOf = async (host: string) => {
    const folder = join(dir, host);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chown(folder, owner.uid, owner.gid);
    return `--volume=${folder}:/var/lib/postgresql/data`;
  };
  const serve = async (host: string, ...settings: string[]) => {
    const usual = [
      ...[`listen_addresses=${host},127.0.0.1`, `port=${port}`, 'unix_socket_directories=/tmp'],
      ...['ssl=on', 'ssl_cert_file=/shared/server.crt', 'ssl_key_file=/shared/server.key'],
      ...['hba_file=/shared/pg_hba.conf', 'fsync=off', ...settings],
    ];
    const options = ['--detach', `--name=ms-${install}-${host}`, await dataOf(host)];
    await inContainer(options, 'postgres', ...usual.flatMap((one) => ['-c', one]));
  };
  const pgdata = '--pgdata=/var/lib/postgresql/data';
  const place = { port, caFile };
  const superuser = { ...place, hosts: [primary, standby], user: 'superuser', password };
  const never = new AbortController().signal;

  await inContainer(
    ['--rm', await dataOf(primary)],
    ...(['initdb', pgdata, '--username=superuser', '--auth=scram-sha-256'] as const),
    ...['--pwfile=/shared/password', '--encoding=UTF8', '--locale=C.UTF-8'],
  );
  await serve(primary, 'synchronous_standby_names=*', 'synchronous_commit=local');
  const maker = new Cluster({ ...superuser, hosts: [primary] });
  await makeUsers(maker, password, never);
  await inContainer(
    ['--rm', `--env=PGPASSWORD=${password}`, await dataOf(standby)],
    ...(['pg_basebackup', pgdata, `--host=${primary}`, `--port=${port}`] as const),
    ...['--username=replicator', '--write-recovery-conf', '--checkpoint=fast'],
  );
  await serve(standby);
  const promoted = new Cluster({ ...superuser, hosts: [standby] });
  await promoted.awaitAnswer(never);
  await until(async () => (await maker.facts()).standbys.includes('sync'), 30);
  const loadedAt = () =>
    maker.administer(async (client) => {
      const { rows } = await client.query('SELECT pg_conf_load_time()::text AS time');
      return rows[0]?.time as string;
    });

  return {
    ...{ install, dataDir, superuser, foreignCa: join(shared, 'foreign.crt') },
    server: { ...place, hosts: [standby, primary] },
    admin: { ...place, hosts: [standby, primary], user: 'microsaas', password },
    admit: async (lines) => {
      const before = await loadedAt();
      await writeFile(join(shared, 'pg_hba.conf'), lines ?? HBA);
      await maker.administer((client) => client.query('SELECT pg_reload_conf()'));
      // A connection that is made after it was read.
      await until(async () => (await loadedAt()) !== before, 30);
    },
    signal: async (name, pid) => {
      const kill = `kill -${name} ${pid}`;
      await run('docker', ['exec', '--', `ms-${install}-${primary}`, 'bash', '-c', kill]);
    },
    failOver: async () => {
      await run('docker', ['kill', '--', `ms-${install}-${primary}`]);
      await promoted.administer((client) => client.query('SELECT pg_promote()'));
    },
    remove: async () => void (await takeDown(install, dir)),
  };
}

/** The rights that docs/postgres.md asks for, and no more. */
export async function makeUsers(
  cluster: Cluster,
  password: string,
  signal: AbortSignal,
): Promise<void> {
  await cluster.awaitAnswer(signal);
  await cluster.administer(async (client) => {
    await client.query(`CREATE ROLE replicator REPLICATION LOGIN PASSWORD '${password}'`);
    await client.query(`CREATE ROLE microsaas CREATEDB CREATEROLE LOGIN PASSWORD '${password}'`);
    await client.query(`ALTER ROLE microsaas SET createrole_self_grant = 'set, inherit'`);
    await client.query('GRANT pg_monitor, pg_signal_backend TO microsaas');
    await client.query('ALTER DATABASE postgres OWNER TO microsaas');
    await client.query('ALTER DATABASE microsaas_admin OWNER TO microsaas');
  });
}

/** The host's address on a network of the install: what a container on any of them reaches. */
async function gatewayOf(install: string, network: string): Promise<string> {
  await docker(networkCreate(install, network));
  const format = '--format={{(index .IPAM.Config 0).Gateway}}';
  return (await run('docker', ['network', 'inspect', format, '--', network])).trim();
}
