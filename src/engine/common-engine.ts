import type { DockerApi } from '../docker/docker-api.ts';
import type { DockerCli } from '../docker/docker-cli.ts';
import { removeStaleHelpers } from '../docker/helpers.ts';
import { type Addressed, instanceUrl } from '../instance/instance-url.ts';
import { databaseName } from '../instance/name.ts';
import type { Remark } from '../instance/reasons.ts';
import type {
  DesiredInstance,
  EffectiveState,
  FetchedCommit,
  MarkedInstance,
  ObservedInstance,
  Owner,
  PortPair,
  Spare,
} from '../instance/types.ts';
import type { Engine, Health, Listed, OdooSession, RehearsedVisit } from '../interfaces.ts';
import { AddonModules } from './addon-modules.ts';
import { type Awaited, awaitAnswer } from './await-answer.ts';
import { bootCopy, type Copy } from './boot-copy.ts';
import { commitsOf, InstanceFiles, type InstanceFilesOptions } from './instance-files.ts';
import { isHealthy, isServing, showsLogin } from './readiness-probe.ts';
import { rehearse } from './rehearse.ts';

export interface CommonEngineOptions extends InstanceFilesOptions {
  /** This host's Docker, where the sidecar's helpers run. */
  readonly api: DockerApi;
  readonly docker: DockerCli;
  /** See instanceUrl(). */
  readonly urlPattern: string;
  readonly answerTimeoutMs: number;
}

/** What an engine sees of one instance's containers. */
export interface SeenContainers {
  readonly owner: Owner;
  /** @param services how many its template makes. @param digest of the files that they should be made from */
  state(services: number, digest: string): ObservedInstance['containers'];
  /** Asked of what runs and answers. */
  limits(): Promise<ObservedInstance['limits']>;
}

/** The instances that a reader of Docker can know without one: their files, marks and addresses, and how an Odoo is spoken to. */
export abstract class CommonEngine implements Engine {
  protected readonly files: InstanceFiles;
  readonly #common: CommonEngineOptions;
  readonly #modules: AddonModules;

  constructor(options: CommonEngineOptions) {
    this.#common = options;
    this.files = new InstanceFiles(options);
    this.#modules = new AddonModules({ ...options, files: this.files });
  }

  // -- what each engine has its own way for -----------------------------------------------------------

  protected abstract seen(desired: DesiredInstance): Promise<SeenContainers>;
  /** Where this host reaches an instance, whatever its customers call it: `http://host:port`. */
  protected abstract originOf(instance: Pick<DesiredInstance, 'id' | 'ports'>): Promise<string>;
  /** The same, of one that was listed. */
  protected abstract originOfListed(listed: Listed): string;
  /** How one that is waited for does. */
  protected abstract awaited(desired: DesiredInstance): Awaited;
  abstract list(): Promise<Map<number, Listed>>;
  abstract places(): ReturnType<Engine['places']>;
  abstract watch(changed: (id: number | null) => void, signal: AbortSignal): Promise<void>;
  abstract occupiedPorts(ports: PortPair): Promise<number[]>;
  abstract startDatabase(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  abstract start(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  abstract stop(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  abstract removeContainers(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  abstract purge(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  abstract applyLimits(desired: DesiredInstance): Promise<void>;
  abstract admit(
    desired: DesiredInstance,
    session: OdooSession,
    browser: Readonly<Record<string, string>>,
  ): Promise<boolean>;

  // -- what is here -----------------------------------------------------------------------------------

  async observe(
    desired: DesiredInstance,
    effective: EffectiveState,
  ): Promise<Omit<ObservedInstance, 'database' | 'hung' | 'isHandedOver' | 'preparedJob'>> {
    const { dirs, marks } = this.#common;
    const { files } = this;
    const containers = await this.seen(desired);
    const owners = {
      directory: await marks.ownerOf(desired),
      containerOwner: containers.owner,
    };
    const data = await files.dataState(desired);
    // Stopping and removing must work without the template too.
    if (effective !== 'running')
      return {
        ...owners,
        checkouts: 'current',
        files: effective === 'purged' && !(await dirs.exists(desired.id)) ? 'absent' : 'current',
        data,
        containers: containers.state(1, ''),
        answering: false,
        appsList: 'current',
        limits: 'current',
      };
    const hasCheckouts = await files.hasCheckouts(desired);
    const digest = desired.ports !== null && hasCheckouts ? await files.digestOf(desired) : '';
    const state = containers.state(files.servicesOf(desired), digest);
    const isUp = state !== 'none' && state !== 'stopped';
    const answering = state === 'running' && (await showsLogin(await this.originOf(desired)));
    return {
      ...owners,
      checkouts: hasCheckouts ? 'current' : 'missing',
      files: digest === '' ? 'absent' : await files.state(desired, digest, isUp),
      data,
      containers: state,
      answering,
      appsList: (await dirs.appsList(desired.id)) === commitsOf(desired) ? 'current' : 'stale',
      limits: answering ? await containers.limits() : 'current',
    };
  }

  /** See bootCopy(). */
  bootCopy(desired: DesiredInstance, copy: Copy, signal: AbortSignal): Promise<boolean> {
    return bootCopy({ ...this.#common, files: this.files }, desired, copy, signal);
  }

  async numbers(): Promise<number[]> {
    const [containers, directories] = await Promise.all([
      this.list(),
      this.#common.marks.numbers(),
    ]);
    return [...new Set([...containers.keys(), ...directories])];
  }

  async marked(id: number): Promise<MarkedInstance | null> {
    return this.#common.marks.read(id);
  }

  async adopt(desired: DesiredInstance): Promise<void> {
    await this.#common.marks.adopt(desired);
  }

  /** See Probe. */
  async probe(id: number, listed: Listed): Promise<Health> {
    const { dirs, install } = this.#common;
    const database = databaseName(install, id);
    // What keeps the disk from being read is no proof that the files are gone.
    const data = await dirs.dataState(id, database, listed.hasOwnDatabase).catch(() => 'whole');
    if (data !== 'whole') return 'emptied';
    return (await isHealthy(this.originOfListed(listed))) ? 'well' : 'silent';
  }

  url(instance: Addressed): string {
    return instanceUrl(this.#common.urlPattern, instance);
  }

  // -- the way to an instance that runs ---------------------------------------------------------------

  fetchRepositories(
    wanted: Pick<DesiredInstance, 'templateCode' | 'repositories'>,
    signal: AbortSignal,
  ): Promise<{ readonly commits: readonly FetchedCommit[]; readonly remarks: readonly Remark[] }> {
    return this.#modules.fetch(wanted, signal);
  }

  imageDigest(desired: DesiredInstance): Promise<string> {
    return this.files.imageDigest(desired);
  }

  async render(desired: DesiredInstance): Promise<void> {
    await this.files.write(desired);
  }

  awaitListening(desired: DesiredInstance, signal: AbortSignal): Promise<boolean> {
    const answers = async () => isServing(await this.originOf(desired));
    return awaitAnswer(this.awaited(desired), desired, answers, signal);
  }

  awaitLogin(desired: DesiredInstance, signal: AbortSignal): Promise<boolean> {
    const answers = async () => showsLogin(await this.originOf(desired));
    return awaitAnswer(this.awaited(desired), desired, answers, signal);
  }

  async rehearse(spare: Spare, visit: RehearsedVisit, signal: AbortSignal): Promise<void> {
    const database = databaseName(this.#common.install, spare.id);
    await rehearse({ ...visit, database, origin: await this.originOf(spare) }, signal);
  }

  async forgetSessions({ id }: Spare): Promise<void> {
    await this.#common.dirs.forgetSessions(id);
  }

  mayBeSpare(templateCode: string): boolean {
    const { templates } = this.#common;
    return templates.has(templateCode) && templates.get(templateCode).database === 'shared';
  }

  renewMark(desired: DesiredInstance): Promise<void> {
    return this.#common.marks.renew(desired);
  }

  updateAppsList(desired: DesiredInstance, signal: AbortSignal): Promise<boolean> {
    return this.#modules.updateAppsList(desired, signal);
  }

  // -- and back ---------------------------------------------------------------------------------------

  async restart(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.stop(desired, signal);
    await this.start(desired, signal);
  }

  async removeStaleHelpers(): Promise<string[]> {
    return removeStaleHelpers(this.#common.api, this.#common.install, new Date());
  }
}
