import { closedNetwork } from '../docker/names.ts';
import { odooOptions } from '../docker/postgres-access.ts';
import { databaseName, odooContainer, projectName } from '../instance/name.ts';
import { mountsOf } from '../repositories/checkout-layout.ts';
import { givenLimits } from './given-limits.ts';
import { instancePaths } from './instance-paths.ts';
import type { RenderInput, Template } from './render.ts';
import { workersFor } from './workers.ts';

const HTTP_PORT = 8069;
const GEVENT_PORT = 8072;
/** Odoo's own defaults. They bound *virtual* memory, so they are a minimum; the container's limit is what counts. */
const MEMORY_SOFT_MB = 2048;
const MEMORY_HARD_MB = 2560;

/** The variables of both files; odoo.conf has the secrets beside them. Documented in templates/README.md. */
export function templateVariables(template: Template, input: RenderInput, digest: string) {
  const own = instancePaths(input.directory);
  const project = projectName(input.install, input.instance);
  const database = databaseName(input.install, input.instance);
  const { cpus, memoryMb } = givenLimits(input, template);
  const workers = workersFor(cpus, memoryMb);
  const mounts = mountsOf(input.checkouts);
  const server = template.database === 'own' ? { socketDir: own.socket } : input.sharedServer;
  const isClosed = input.network === closedNetwork(input.install);
  const onNetwork = 'socketDir' in server ? null : server;
  const { db_host = '', db_port = '' } = odooOptions(server);
  return {
    install: input.install,
    instance: String(input.instance),
    identity: input.identity,
    odooContainer: odooContainer(input.install, input.instance),
    dbContainer: `${project}-db`,
    digest,
    restartCount: String(input.restartCount),
    image: template.image,
    postgresImage: template.postgresImage,
    postgresUser: template.postgresUser
      ? `${template.postgresUser.uid}:${template.postgresUser.gid}`
      : '',
    memory: `${memoryMb}m`,
    cpus,
    network: input.network,
    isClosed,
    dbHost: db_host,
    // Empty at a socket.
    dbPort: db_port,
    extraHosts: onNetwork && isClosed ? input.hostAddresses : [],
    publishAddress: input.publishAddress,
    httpPort: input.ports.http,
    longpollingPort: input.ports.longpolling,
    // Without workers there is no gevent process: the one server answers both.
    longpollingTarget: workers > 0 ? GEVENT_PORT : HTTP_PORT,
    paths: {
      conf: own.conf,
      filestore: own.filestore,
      sessions: own.sessions,
      pgdata: own.pgdata,
      postgresPassword: own.postgresPassword,
      socket: 'socketDir' in server ? server.socketDir : '',
      postgresCa: onNetwork?.caFile ?? '',
    },
    checkouts: mounts.map(({ path, target }) => ({ path, target })),
    addonsPath: mounts.flatMap(({ addonsFolders }) => addonsFolders).join(','),
    database,
    workers,
    limitMemorySoft: Math.max(memoryMb, MEMORY_SOFT_MB) * 1024 * 1024,
    limitMemoryHard: Math.max(Math.ceil(memoryMb * 1.25), MEMORY_HARD_MB) * 1024 * 1024,
    // Without a proxy in front of Odoo, a client could forge the headers that a proxy sets.
    proxyMode: /^(127\.|::1$)/.test(input.publishAddress),
  };
}
