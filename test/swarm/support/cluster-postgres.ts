import { randomBytes } from 'node:crypto';
import { chmod, chown, cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DockerApi } from '../../../src/docker/docker-api.ts';
import { dockerCli } from '../../../src/docker/docker-cli.ts';
import { Images } from '../../../src/docker/images.ts';
import { Cluster, type ClusterAddress } from '../../../src/postgres/cluster.ts';
import { images } from '../../../stack/images.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { HBA, makeUsers } from '../../support/network-postgres.ts';
import type { SwarmCluster } from '../../support/swarm-cluster.ts';

const NAME = 'postgres';

/** The customers' Postgres on the host beside the swarm, as docs/postgres.md asks for it. */
export interface ClusterPostgres {
  /** The administrator, and the superuser for what the administrator may not. */
  readonly admin: ClusterAddress;
  readonly superuser: ClusterAddress;
  readonly remove: () => Promise<void>;
}

/** @param dataDir where the certificate of its authority is to be */
export async function startClusterPostgres(
  cluster: SwarmCluster,
  dataDir: string,
): Promise<ClusterPostgres> {
  const { address, socket } = cluster.host;
  const [folder, data] = [join(dataDir, NAME), join(dataDir, `${NAME}-data`)];
  for (const path of [folder, data]) await mkdir(path, { recursive: true });
  const here = new Images('swmpgs', new DockerApi(socket), dockerCli(socket));
  const owner = await here.user(images.postgres, 'postgres');
  const password = randomBytes(18).toString('base64url');
  await makeCertificates(folder, [address]);
  const caFile = join(dataDir, 'postgres-ca.crt');
  await cp(join(folder, 'ca.crt'), caFile);
  await chmod(caFile, 0o644);
  await writeFile(join(folder, 'password'), password);
  await writeFile(join(folder, 'pg_hba.conf'), HBA);
  for (const path of [folder, data]) await chown(path, owner.uid, owner.gid);
  for (const name of ['server.key', 'server.crt', 'password', 'pg_hba.conf']) {
    await chown(join(folder, name), owner.uid, owner.gid);
    await chmod(join(folder, name), 0o600);
  }
  const run = (options: readonly string[], program: string, ...args: string[]) =>
    cluster.docker(
      cluster.host,
      ...['run', '--network=host', `--user=${owner.uid}:${owner.gid}`, ...options],
      ...[`--volume=${folder}:/shared:ro`, `--volume=${data}:/var/lib/postgresql/data`],
      ...[`--entrypoint=${program}`, '--', images.postgres, ...args],
    );
  await run(
    ['--rm'],
    ...(['initdb', '--pgdata=/var/lib/postgresql/data', '--username=superuser'] as const),
    ...['--auth=scram-sha-256', '--pwfile=/shared/password', '--encoding=UTF8'],
    '--locale=C.UTF-8',
  );
  const settings = [
    ...[`listen_addresses=${address}`, 'unix_socket_directories=/tmp', 'fsync=off'],
    ...['ssl=on', 'ssl_cert_file=/shared/server.crt', 'ssl_key_file=/shared/server.key'],
    ...['hba_file=/shared/pg_hba.conf', 'max_connections=200'],
  ];
  const options = ['--detach', `--name=${NAME}`];
  await run(options, 'postgres', ...settings.flatMap((one) => ['-c', one]));
  const place = { hosts: [address], port: 5432, caFile, password };
  const superuser = { ...place, user: 'superuser' };
  await makeUsers(new Cluster(superuser), password, new AbortController().signal);
  return {
    admin: { ...place, user: 'microsaas' },
    superuser,
    remove: async () => void (await cluster.docker(cluster.host, 'rm', '--force', '--', NAME)),
  };
}
