import { join } from 'node:path';
import { ArchiveStore } from './backups/archives.ts';
import type { Config } from './config.ts';
import type { DatabaseSpec } from './databases/databases.ts';
import { OdooDatabases } from './databases/databases.ts';
import { runOdooInit } from './databases/odoo-init.ts';
import { PasswordPool } from './databases/password-pool.ts';
import { DockerApi } from './docker/docker-api.ts';
import { dockerCli } from './docker/docker-cli.ts';
import { Firewall } from './docker/firewall.ts';
import { Images } from './docker/images.ts';
import { ComposeEngine } from './engine/compose.ts';
import { DirectoryMarks } from './files/directory-mark.ts';
import { InstanceDirs } from './files/instance-dir.ts';
import type { Template } from './files/render.ts';
import { loadTemplates } from './files/templates.ts';
import { Disk } from './host/disk.ts';
import { readInstallId } from './install-id.ts';
import type { DesiredInstance } from './instance/types.ts';
import { OdooManager } from './manager/manager.ts';
import { type CallRecord, connect } from './manager/rpc/odoo-client.ts';
import { ManagerMemoryFile } from './manager-memory.ts';
import { PgTools } from './postgres/pg-tools.ts';
import { flushFileSystem, runServer } from './postgres/scratch-postgres.ts';
import { Repositories } from './repositories/repositories.ts';

export interface Observers {
  readonly onRpc?: (call: CallRecord) => void;
  readonly onDocker?: () => void;
  readonly onKeptImage?: (instance: number, kept: string, current: string) => void;
}

/** Wires every adapter to the configuration: the one place that knows them all. Nothing is started or asked yet. */
export async function assemble(config: Config, observers: Observers = {}) {
  const install = readInstallId(config.dataDir);
  const templates = await loadTemplates(config.templatesDir);
  const passwords = new PasswordPool();
  const dirs = new InstanceDirs(config.dataDir, () => passwords.take());
  const api = new DockerApi(config.docker.socket, observers.onDocker);
  const repositories = new Repositories({
    dataDir: config.dataDir,
    allowedProtocols: config.repositories.protocols,
    privateHosts: config.repositories.privateHosts,
    credentials: config.repositories.credentials,
  });
  const docker = dockerCli(config.docker.socket);
  const images = new Images(install, api, docker);
  const marks = new DirectoryMarks(config.dataDir, install);
  const engine = new ComposeEngine({
    install,
    api,
    docker,
    images,
    templates,
    dirs,
    marks,
    repositories,
    sharedSocketDirectory: config.postgres.socketDir,
    publishAddress: config.instances.publishAddress,
    urlPattern: config.instances.url,
    answerTimeoutMs: config.instances.answerSeconds * 1000,
    ...(observers.onKeptImage ? { onKeptImage: observers.onKeptImage } : {}),
  });

  async function specOf(desired: DesiredInstance): Promise<DatabaseSpec> {
    const template = templates.get(desired.templateCode);
    // Nobody looks into what is another's, whichever way they come.
    await marks.claim(desired);
    const paths = dirs.paths(desired.id);
    const secrets = desired.wasReady
      ? await dirs.secrets(desired.id)
      : await dirs.makeSecrets(desired.id);
    const own = template.database === 'own' && {
      socketDir: paths.socket,
      user: 'postgres',
      password: secrets.postgresPassword,
      postgres: await postgresOf(template),
      directory: paths.directory,
      pgdata: paths.pgdata,
    };
    return {
      own: own || null,
      image: template.image,
      imageId: await images.id(template.image),
      owner: await images.user(template.image),
      filestoreDir: paths.filestore,
      dbPassword: secrets.dbPassword,
      adminLogin: desired.customer.email || 'admin',
      adminPassword: secrets.adminPassword,
      url: engine.url(desired),
    };
  }

  async function sourceOf(templateCode: string) {
    const template = templates.get(templateCode);
    const { database, image } = template;
    return {
      image,
      imageId: await images.id(image),
      owner: await images.user(image),
      postgres: database === 'own' ? await postgresOf(template) : null,
    };
  }

  async function postgresOf({ postgresImage: image, postgresUser: user }: Template) {
    if (user === null) throw new TypeError('a template without a Postgres of its own');
    return { image, imageId: await images.id(image), user };
  }

  const databases = new OdooDatabases({
    install,
    shared: config.postgres,
    templatesDir: join(config.dataDir, 'templates'),
    ownTemplatesDir: join(config.dataDir, 'templates-own'),
    runServer: (run) => runServer({ install, docker }, run),
    flush: (folder) => flushFileSystem(folder),
    passwords,
    init: async (run) => {
      const checkouts = await Promise.all(run.repositories.map((it) => repositories.checkout(it)));
      const owner = await images.user(run.image);
      await runOdooInit({ install, docker }, { ...run, checkouts, owner });
    },
    specOf: specOf,
    sourceOf,
    currentImageId: (image) => api.imageId(image),
  });
  const { enforce, ...egress } = config.egress;
  const firewall = enforce ? new Firewall({ install, api, docker, ...egress }) : null;
  const disk = new Disk(config.dataDir, config.instances);
  const tools = new PgTools(install, config.postgres.image, docker);
  const archives = new ArchiveStore({
    install,
    dataDir: config.dataDir,
    dirs,
    disk,
    tools,
    loginOf: (desired) => databases.loginForArchive(desired),
  });
  const manager = new OdooManager(connect(config.manager, observers.onRpc));
  return {
    install,
    templates,
    dirs,
    marks,
    managerMemory: new ManagerMemoryFile(config.dataDir),
    api,
    docker,
    images,
    engine,
    databases,
    disk,
    firewall,
    archives,
    tools,
    manager,
    repositories,
  };
}

export type Sidecar = Awaited<ReturnType<typeof assemble>>;
