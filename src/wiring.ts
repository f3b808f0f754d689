import { availableParallelism, freemem } from 'node:os';
import { join } from 'node:path';
import PQueue from 'p-queue';
import { ArchiveStore } from './backups/archives.ts';
import { BackupKeys } from './backups/backup-keys.ts';
import { BackupStore, type BackupStoreOptions } from './backups/backup-store.ts';
import { StagingCopies } from './backups/copies.ts';
import { EndBackups } from './backups/end-backups.ts';
import { Erasure } from './backups/erasure.ts';
import { Exporter } from './backups/export.ts';
import { ExportFiles } from './backups/export-files.ts';
import { ForeignBackups } from './backups/foreign-backups.ts';
import { HostClaim } from './backups/host-claim.ts';
import { sweepLeftovers, type Workplace } from './backups/leftovers.ts';
import { ManagerBackups } from './backups/manager-backups.ts';
import { type ManagerRestoreOptions, restoreManager } from './backups/manager-restore.ts';
import { Restores } from './backups/restores.ts';
import { RestoringMark } from './backups/restoring-mark.ts';
import { Updates } from './backups/updates.ts';
import type { Config } from './config.ts';
import { Activity } from './controller/activity.ts';
import type { ManagerBackupContext } from './controller/back-up-manager.ts';
import { ClockGuard } from './controller/clock-guard.ts';
import { Controller } from './controller/controller.ts';
import type { Meter } from './controller/controller-context.ts';
import { DomainWatch } from './controller/domain-watch.ts';
import { DoorRoutes } from './controller/door-routes.ts';
import { Liveness } from './controller/liveness.ts';
import type { ManagerCheck } from './controller/manager-check.ts';
import { Reporter } from './controller/reporter.ts';
import { makeSlots } from './controller/slots.ts';
import { SuspensionLimiter } from './controller/suspension-limiter.ts';
import { UseWatch } from './controller/use-watch.ts';
import { Visits } from './controller/visits.ts';
import { Wakes } from './controller/wakes.ts';
import { DatabaseSpecs } from './databases/database-spec.ts';
import { OdooDatabases } from './databases/databases.ts';
import { neutralise } from './databases/neutralise.ts';
import { odooInit } from './databases/odoo-init.ts';
import { OdooUpdate } from './databases/odoo-update.ts';
import { PasswordPool } from './databases/password-pool.ts';
import { DOCKERS_POOLS, freeBlocks } from './docker/address-pools.ts';
import { Background } from './docker/background.ts';
import { Cgroups } from './docker/cgroups.ts';
import { containerLogs, type LogOptions, serviceLogs } from './docker/commands.ts';
import { DockerApi } from './docker/docker-api.ts';
import { dockerCli, heldDockerCli } from './docker/docker-cli.ts';
import { Firewall } from './docker/firewall.ts';
import { Images } from './docker/images.ts';
import { findManager, findManagerAdmin, managerFiles } from './docker/manager-container.ts';
import { memoryUse } from './docker/memory-use.ts';
import { SwarmApi } from './docker/swarm-api.ts';
import { StoredCertificates } from './door/certificates.ts';
import { CaddyDoor } from './door/door.ts';
import { DomainVerifier } from './door/verify-domain.ts';
import type { CommonEngine, CommonEngineOptions } from './engine/common-engine.ts';
import { ComposeEngine } from './engine/compose.ts';
import { hostUse } from './engine/host-use.ts';
import { makeMeasure } from './engine/measure-use.ts';
import { DirectoryMarks } from './files/directory-mark.ts';
import { InstanceDirs } from './files/instance-dir.ts';
import { loadTemplates } from './files/templates.ts';
import { Disk } from './host/disk.ts';
import { probeSmtp } from './host/smtp-probe.ts';
import {
  installedAt,
  lockExports,
  lockManagerBackups,
  lockRestores,
  readHostId,
  readInstallId,
} from './install-id.ts';
import { odooContainer, projectName } from './instance/name.ts';
import { Turns } from './instance/turns.ts';
import type { DesiredInstance } from './instance/types.ts';
import type { Logger } from './log.ts';
import { OdooManager } from './manager/manager.ts';
import { type CallRecord, connect } from './manager/rpc/odoo-client.ts';
import { ManagerMemoryFile } from './manager-memory.ts';
import { holdDatabase } from './postgres/held-database.ts';
import { PgTools } from './postgres/pg-tools.ts';
import { ProofServer } from './postgres/proof-server.ts';
import { Repositories } from './repositories/repositories.ts';
import { Restic } from './restic/restic.ts';
import { SwarmEngine } from './swarm/swarm-engine.ts';
import { SwarmReport } from './swarm/swarm-report.ts';

/** How much of the disk a staging copy leaves free, beside what it needs. */
const COPY_KEEPS_SHARE = 0.1;

/** Who has had what erased, and when. */
const ERASED = 'erased.jsonl';

export interface Observers {
  readonly onRpc?: (call: CallRecord) => void;
  readonly onDocker?: () => void;
  readonly onKeptImage?: (instance: number, kept: string, current: string) => void;
  /** What nobody waits for could not be paused, or not be resumed: a start takes longer, or a backup. */
  readonly onBackgroundError?: (error: unknown) => void;
  /** The server of the backups keeps what the sidecar would remove; called once. */
  readonly onBackupsKept?: () => void;
  /** Another host works for this install by now. */
  readonly onReplaced?: (error: Error) => void;
}

/** Wires every adapter to the configuration: this file alone knows them all. Nothing is started or asked yet. */
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
  const background = new Background({
    ...{ install, api },
    onError: (error) => observers.onBackgroundError?.(error),
  });
  const docker = background.behind(dockerCli(config.docker.socket));
  const relay = config.mailRelay;
  const images = new Images(install, api, docker);
  const marks = new DirectoryMarks(config.dataDir, install);
  const specs = new DatabaseSpecs({
    ...{ templates, marks, dirs, images },
    urlPattern: config.instances.url,
  });
  const { password, server, user } = config.postgres;
  const databases = new OdooDatabases({
    ...{ install, docker, specs, passwords },
    shared: { ...server, user, password },
    dataDir: config.dataDir,
    relay: config.mailRelay,
    init: odooInit({ install, docker, images, repositories }),
    neutralise: neutralise({
      ...{ install, docker },
      confOf: (id) => dirs.paths(id).conf,
      checkoutsOf: (desired) =>
        Promise.all(desired.repositories.map((it) => repositories.checkout(it))),
    }),
  });
  const engineOptions: CommonEngineOptions = {
    install,
    api,
    docker,
    images,
    templates,
    dirs,
    marks,
    repositories,
    sharedServer: config.postgres.server,
    publishAddress: config.instances.publishAddress,
    urlPattern: config.instances.url,
    answerTimeoutMs: config.instances.answerSeconds * 1000,
    ...(observers.onKeptImage ? { onKeptImage: observers.onKeptImage } : {}),
  };
  const swarm = config.swarm && {
    ...config.swarm,
    api: new SwarmApi(config.swarm.sockets, observers.onDocker),
    managerSocket: config.swarm.sockets[0] ?? config.docker.socket,
  };
  const engine: CommonEngine = swarm
    ? new SwarmEngine({
        ...engineOptions,
        swarm: swarm.api,
        managerCli: dockerCli(swarm.managerSocket),
        shutOut: (instance, password) => databases.shutOut(instance, password),
      })
    : new ComposeEngine(engineOptions);
  const { enforce, ...egress } = config.egress;
  const firewall = enforce
    ? new Firewall({ install, api, docker, ...egress, relay: config.mailRelay, server })
    : null;
  const disk = new Disk(config.dataDir, config.instances);
  const cgroups = new Cgroups();
  const tools = new PgTools(install, config.postgres.image, docker);
  const oldArchives = new ArchiveStore({ install, dataDir: config.dataDir, dirs, tools });
  const restoring = new RestoringMark(dirs, marks);
  const backups = makeBackups();
  const archives = new EndBackups({
    store: backups.store,
    archives: oldArchives,
    disconnect: (desired) => databases.disconnect(desired),
    now: () => new Date(),
  });
  const { addresses, domain, resolver: _, ...doorSettings } = config.door;
  const { manager: managerLabel } = doorSettings;
  const { publishAddress } = config.instances;
  const door = domain
    ? new CaddyDoor({
        ...{ install, api, docker },
        dataDir: config.dataDir,
        settings: { ...doorSettings, domain, publishAddress },
      })
    : null;
  const manager = new OdooManager(
    connect(config.manager, observers.onRpc),
    domain ? { domain, url: config.instances.url, addresses, manager: managerLabel } : null,
  );
  function makeBackups() {
    const folder = join(config.dataDir, 'backups');
    const { environmentFile, image, repository: base, sshFolder } = config.backups;
    const { image: postgres } = config.postgres;
    const keys = new BackupKeys(install, base, folder);
    const restic = new Restic(install, image, docker, { base, environmentFile, sshFolder });
    const host = readHostId(config.dataDir);
    const { onReplaced } = observers;
    const claim = new HostClaim({
      ...{ host, keys, restic, folder: join(folder, 'manager-work'), now: () => new Date() },
      ...(onReplaced ? { onReplaced } : {}),
    });
    const storeIn = (
      work: string,
      proof: string,
      over: Partial<Pick<BackupStoreOptions, 'keptShare' | 'keys' | 'restic'>> = {},
    ) =>
      new BackupStore({
        ...{ install, dirs, disk, tools, keys, restic, ...over },
        requireHost: (signal) => claim.require(signal),
        folder: join(folder, work),
        proofServer: new ProofServer({
          ...{ install, docker, name: proof, image: postgres, folder: join(folder, proof) },
          user: () => images.user(postgres, 'postgres'),
        }),
        bootCopy: (...args) => engine.bootCopy(...args),
        heldForBackup: (desired, work) => databases.heldForBackup(desired, work),
        ...(observers.onBackupsKept ? { onKept: observers.onBackupsKept } : {}),
      });
    const store = storeIn('work', 'proof');
    const forExports = storeIn('export', 'export-proof');
    const exporter = new Exporter({ store: forExports, disk, tools });
    const exports = new ExportFiles({
      ...{ store, folder: join(config.dataDir, 'exports'), now: () => new Date() },
      exporter: new Exporter({ store, disk, tools }),
    });
    const odooOf = async (desired: DesiredInstance) =>
      images.odooOf((await specs.imageOf(desired)).imageId);
    const restoresFrom = (from: Pick<BackupStore, 'inRestored'>) =>
      new Restores({
        ...{ install, dirs, tools, replacements: databases.replacements },
        odooOf,
        inRestored: (...args) => from.inRestored(...args),
      });
    const restores = restoresFrom(store);
    // By a command, beside the sidecar: one of them at a time (lockRestores), so all work in one folder.
    const byHand = storeIn('restore', 'restore-proof');
    const restoresByHand = restoresFrom(byHand);
    const forCopies = storeIn('staging', 'staging-proof', { keptShare: COPY_KEEPS_SHARE });
    const erasures = new Erasure({
      ...{ keys, restic, exports, archives: oldArchives, now: () => new Date() },
      requireHost: (signal) => claim.require(signal),
      record: join(folder, ERASED),
    });
    const copies = new StagingCopies({
      ...{ install, dirs, tools, databases },
      odooOf,
      inRestored: (...args) => forCopies.inRestored(...args),
    });
    const foreign = new ForeignBackups({
      ...{ install, dirs, tools, folder: join(folder, 'restore') },
      odooOf,
      storeOf: (base, repository) =>
        storeIn('restore', 'restore-proof', {
          restic: new Restic(install, image, docker, { base, environmentFile: '', sshFolder: '' }),
          keys: {
            has: async () => true,
            make: () => Promise.reject(new Error('nothing is written there')),
            repositoryOf: () => repository,
          },
        }),
    });
    // Of its own: the commands work with the manager's backups beside the sidecar, and no two processes use one server.
    const storeOfManager = storeIn('manager-work', 'manager-proof');
    const managerHost = { install, api, docker, image };
    const ofManager = new ManagerBackups({
      ...{ install, disk, host, claim, keys, restic, tools, store: storeOfManager },
      database: config.manager.database,
      url: config.manager.url,
      folder: join(folder, 'manager-work'),
      files: [
        ...[...config.files, join(config.dataDir, 'install-id'), keys.escrowFile],
        join(folder, ERASED),
      ],
      place: (signal) => findManager(managerHost, signal),
      hold: holdDatabase({ install, image: postgres, held: heldDockerCli(config.docker.socket) }),
    });
    const managerRestore: ManagerRestoreOptions = {
      ...{ folder, tools, store: storeOfManager, now: () => new Date() },
      database: config.manager.database,
      place: (signal) => findManager(managerHost, signal),
      admin: (signal) => findManagerAdmin(managerHost, signal),
      files: managerFiles(managerHost, folder),
      stop: ({ container }, signal) => api.stop(container, signal),
      start: ({ container }, signal) => api.start(container, signal),
    };
    const intoManager = (snapshot: string, progress: (line: string) => void, signal: AbortSignal) =>
      restoreManager(managerRestore, snapshot, progress, signal);
    const updates = new Updates({
      ...{ install, dirs, disk, store, replacements: databases.replacements },
      odoo: new OdooUpdate({ install, docker, images, repositories }),
      hasMemory: () => hasMemory(config),
      newestImage: (code) => images.newestPin(templates.get(code).image),
      presentImage: async (desired) => desired.imageDigest || engine.imageDigest(desired),
      localPin: (pin) => images.localPin(pin),
      userOf: async (pin) => images.user(await images.pinnedId(pin)),
      fetch: async (...args) => (await engine.fetchRepositories(...args)).commits,
    });
    const workplaces: readonly Workplace[] = [
      ...[store, forCopies, exports].map((one) => ({ sweep: () => one.sweep(), lock: null })),
      { sweep: () => forExports.sweep(), lock: () => lockExports(install) },
      { sweep: () => byHand.sweep(), lock: () => lockRestores(install) },
      { sweep: () => storeOfManager.sweep(), lock: () => lockManagerBackups(install) },
    ];
    return {
      isNightly: config.backups.enabled,
      sweep: (onError: (error: unknown) => void) => sweepLeftovers(workplaces, onError),
      store,
      updates,
      restores,
      restoresByHand,
      copies,
      erasures,
      exporter,
      exports,
      foreign,
      ofManager,
      claim,
      restoreManager: intoManager,
    };
  }

  return {
    install,
    dataDir: config.dataDir,
    templates,
    dirs,
    marks,
    managerMemory: new ManagerMemoryFile(config.dataDir),
    api,
    docker,
    background,
    images,
    freeNetworks: async (others: readonly string[]) => {
      const { pools, subnets } = await api.addresses();
      return freeBlocks(pools ?? DOCKERS_POOLS, [...subnets, ...others]);
    },
    logs: (id: number, options: LogOptions) =>
      swarm
        ? {
            command: serviceLogs(projectName(install, id), options),
            socket: swarm.managerSocket,
          }
        : {
            command: containerLogs(odooContainer(install, id), options),
            socket: config.docker.socket,
          },
    swarm: swarm && new SwarmReport({ install, swarm: swarm.api, sharedDir: swarm.sharedDir }),
    askRelay: relay && (() => probeSmtp(relay)),
    measure: makeMeasure({ marks, disk, databases, cgroups }),
    cgroups,
    memoryUse: (isWanted: (id: number) => boolean) => memoryUse(api, install, isWanted),
    engine,
    databases,
    disk,
    firewall,
    archives,
    oldArchives,
    restoring,
    backups,
    tools,
    manager,
    repositories,
    door,
    verifier: new DomainVerifier(config.door),
    certificates: config.door.https ? makeCertificates(config) : null,
  };
}

/** Whether there is memory for one more instance, and so many MB besides. */
function hasMemory({ instances }: Config, besidesMb = 0): boolean {
  return freemem() >= (instances.freeMemoryMb + besidesMb) * 2 ** 20;
}

/** What the door has stored, and the wildcard that the operator gives. */
function makeCertificates({ dataDir, door }: Config): StoredCertificates {
  const { certificateFile, keyFile } = door;
  const given = certificateFile ? { certificateFile, keyFile } : null;
  const always = door.manager ? [`${door.manager}.${door.domain}`] : [];
  return new StoredCertificates({ dataDir: join(dataDir, 'door', 'data'), given, always });
}

export type Sidecar = Awaited<ReturnType<typeof assemble>>;

/** The manager's own backups, made by one process of this host at a time. */
export function managerBackups({
  backups: { ofManager },
  dataDir,
  install,
}: Pick<Sidecar, 'backups' | 'dataDir' | 'install'>): Pick<
  ManagerBackupContext,
  'since' | 'store' | 'withLock'
> {
  const withLock = async <T>(work: () => Promise<T>) => {
    const release = await lockManagerBackups(install);
    return work().finally(release);
  };
  return { store: ofManager, since: installedAt(dataDir), withLock };
}

/** Wires the loop, and what visitors ask it, to the adapters. Nothing is started yet. */
export function makeController(
  config: Config,
  sidecar: Sidecar,
  managerCheck: ManagerCheck,
  log: Logger,
  meter?: Meter,
): { controller: Controller; routes: DoorRoutes; visits: Visits } {
  const { archives, background, certificates, databases, disk, engine, firewall, manager } =
    sidecar;
  const { parallel } = config.instances;
  const now = () => new Date();
  const portChoices = new PQueue({ concurrency: 1 });
  const routes = new DoorRoutes(config.door.domain, () => controller.updateDoor());
  const domains = new DomainWatch({
    ...{ manager, certificates, now },
    verify: (domain) => sidecar.verifier.verify(domain),
    onDue: () => controller.lookAtDomains(),
    onError: (err, name) => log.warn({ err, name }, "a customer's domain not reported"),
  });
  const liveness = new Liveness({
    probe: (id, listed) => engine.probe(id, listed),
    now,
    onChange: (id) => controller.addNow([`instance:${id}`]),
  });
  const controller: Controller = new Controller({
    context: {
      ...{
        managerCheck,
        manager,
        engine,
        background,
        databases,
        archives,
        disk,
        firewall,
        now,
        log,
      },
      ...(meter ? { meter } : {}),
      limits: config.limits,
      suspensionLimiter: new SuspensionLimiter(manager),
      clockGuard: new ClockGuard(
        now,
        () => performance.now(),
        (isCertain) =>
          isCertain
            ? log.info('the day is certain again')
            : log.warn(
                "the sidecar's clock and Odoo's disagree, or one has jumped: nothing is suspended or removed until both are right",
              ),
      ),
      backups: {
        isNightly: sidecar.backups.isNightly,
        store: sidecar.backups.store,
        restores: sidecar.backups.restores,
        copies: sidecar.backups.copies,
        exports: sidecar.backups.exports,
        erasures: sidecar.backups.erasures,
        ofManager: sidecar.backups.isNightly ? managerBackups(sidecar) : null,
        restoring: sidecar.restoring,
        updates: sidecar.backups.updates,
        time: config.backups.schedule,
        oneByOne: new Turns(),
        turns: new Turns(),
        lent: new Set(),
        onJob: (id) => controller.doJob(id),
      },
      reporter: new Reporter(manager, (err) => log.warn({ err }, 'progress not reported')),
      liveness,
      useWatch: new UseWatch({
        ...{ manager, now },
        measure: sidecar.measure,
        host: () => hostUse(disk, () => hasMemory(config)),
        seesRequests: sidecar.door !== null,
      }),
      door: sidecar.door && { proxy: sidecar.door, routes, domains, certificates },
      activity: sidecar.door && new Activity(now),
      wakes: new Wakes(now),
      slots: makeSlots(parallel || Math.max(2, availableParallelism())),
      withPortLock: (work) => portChoices.add(work),
      hasMemory: (besidesMb) => hasMemory(config, besidesMb),
      spareMemoryMb: config.instances.spareMemoryMb,
      onMemoryShort: () => controller.giveUpSpares(),
    },
    pollSeconds: config.manager.pollSeconds,
  });
  const visits = new Visits({
    probe: (id, listed) => engine.probe(id, listed),
    listed: (id) => liveness.listed(id),
  });
  return { controller, routes, visits };
}
