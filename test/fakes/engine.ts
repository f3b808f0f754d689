import { foreignData, PortTakenError, RetryableError, TerminalError } from '../../src/errors.ts';
import { isOwnMark } from '../../src/instance/own-mark.ts';
import type { Remark } from '../../src/instance/reasons.ts';
import type {
  DesiredInstance,
  EffectiveState,
  MarkedInstance,
  ObservedInstance,
  Owner,
  PortPair,
  Spare,
} from '../../src/instance/types.ts';
import type { Engine, Health, OdooSession } from '../../src/interfaces.ts';

/** What the host has of one instance. */
interface Project {
  /** The mark in its directory; null: none. */
  mark: MarkedInstance | null;
  /** The identity that its containers were made with. */
  containersMark: string | null;
  /** What its files were rendered from; null: no files. */
  files: string | null;
  /** Its own Postgres, where its template has one. */
  isDatabaseUp: boolean;
  containers: 'none' | 'stopped' | 'paused' | 'running';
  /** The files its containers were made from. */
  madeFrom: string | null;
  ports: PortPair | null;
  /** What its container may use of memory and processors. */
  limits: string;
  /** The commits whose modules its Apps list shows. */
  appsList: string;
  isAnswering: boolean;
}

/**
 * Docker on one host, in memory. `observe` changes nothing; every other method may be repeated, and only does what it
 * says: nothing starts without files, a port has one owner, stopping keeps the files, and so does removing the containers.
 * An instance answers as soon as it is waited for, unless it is one of the `silent`. Calls cost the same for 10 instances
 * and 10,000, but list().
 */
export class FakeEngine implements Engine {
  readonly projects = new Map<number, Project>();
  readonly checkouts = new Set<string>();
  /** Ports that some other program has bound. */
  readonly foreignPorts = new Set<number>();
  /** Found free by the test, and taken when the container starts. */
  readonly stolenPorts = new Set<number>();
  readonly silent = new Set<number>();
  /** Those of them that a new start brings back. */
  readonly curable = new Set<number>();
  /** Instances whose directory, or a part of it, somebody has deleted. */
  readonly emptied = new Set<number>();
  /** Who was let in where, by which session and with which headers. */
  readonly admitted: Array<{ id: number; sid: string; browser: Readonly<Record<string, string>> }> =
    [];
  /** What killed sidecars left behind. */
  readonly helpers: string[] = [];
  /** URLs of repositories that cannot be had, and why. */
  readonly brokenRepositories = new Map<string, Error>();
  /** What the templates' tag is now. */
  newestImage = 'sha256:first';
  /** How often something was changed. */
  changes = 0;
  isAway = false;

  readonly #watchers = new Set<(id: number | null) => void>();
  readonly #portOwners = new Map<number, number>();

  /** Where instances are that are on other hosts; null: all are on this one. */
  placed: Awaited<ReturnType<Engine['places']>> = null;

  async places() {
    return this.placed;
  }

  async observe(
    desired: DesiredInstance,
    state: EffectiveState,
  ): Promise<Omit<ObservedInstance, 'database' | 'hung' | 'isHandedOver' | 'preparedJob'>> {
    this.#checkHere();
    if (state === 'purged' && !this.projects.has(desired.id)) return NOTHING;
    const project = this.#projectOf(desired.id);
    const wanted = filesFor(desired, this.#imageOf(desired));
    const fetched = desired.repositories.every(({ commit }) => this.checkouts.has(commit));
    const isUp = project.containers === 'running' || project.containers === 'paused';
    const isOutdated =
      project.containers === 'running' && !areSameButLimits(project.madeFrom, wanted);
    // What is up gets new limits without new files.
    const isCurrent = isUp ? areSameButLimits(project.files, wanted) : project.files === wanted;
    return {
      directory: directoryOwner(project, desired),
      containerOwner: ownerOf(project.containers !== 'none', project.containersMark, desired),
      checkouts: fetched ? 'current' : 'missing',
      files: project.files === null ? 'absent' : isCurrent ? 'current' : 'stale',
      data: this.emptied.has(desired.id) ? 'partial' : project.files === null ? 'absent' : 'whole',
      containers:
        project.isDatabaseUp && !hasProcess(project.containers)
          ? 'partial'
          : isOutdated
            ? 'outdated'
            : project.containers,
      answering: project.containers === 'running' && project.isAnswering,
      appsList: project.appsList === commitsOf(desired) ? 'current' : 'stale',
      limits:
        project.containers === 'running' && project.limits !== limitsOf(desired)
          ? 'other'
          : 'current',
    };
  }

  async adopt(desired: DesiredInstance): Promise<void> {
    const project = this.#projectOf(desired.id);
    if (project.files !== null) project.mark ??= markOf(desired);
  }

  async numbers(): Promise<number[]> {
    this.#checkHere();
    const found = [...this.projects].filter(
      ([, { files, containers }]) => files !== null || containers !== 'none',
    );
    return found.map(([id]) => id);
  }

  async marked(id: number): Promise<MarkedInstance | null> {
    return this.projects.get(id)?.mark ?? null;
  }

  async occupiedPorts({ http, longpolling }: PortPair): Promise<number[]> {
    return [http, longpolling].filter(
      (port) => this.foreignPorts.has(port) || this.#portOwners.has(port),
    );
  }

  async fetchRepositories({ repositories }: DesiredInstance) {
    if (repositories.length > 0) this.changes += 1;
    const commits = repositories.map(({ id, url, branch, commit }) => {
      const broken = this.brokenRepositories.get(url);
      if (broken) throw broken;
      const fetched = commit || `commit of ${branch} at ${url}`;
      this.checkouts.add(fetched);
      return { id, commit: fetched };
    });
    return { commits, remarks: [] as Remark[] };
  }

  async imageDigest({ id }: DesiredInstance): Promise<string> {
    const { files } = this.#projectOf(id);
    return files === null ? '' : imageIn(files);
  }

  async render(desired: DesiredInstance): Promise<void> {
    if (desired.templateCode === 'unknown')
      throw new TerminalError('UnknownTemplate', 'There is no template of this name.');
    if (desired.wasReady && this.emptied.has(desired.id))
      throw new Error(`data of ${desired.id} would be made anew`);
    const missing = desired.repositories.find(
      ({ commit }) => commit !== '' && !this.checkouts.has(commit),
    );
    if (missing) throw new Error(`ENOENT: no checkout ${missing.commit}`);
    const project = this.#projectOf(desired.id);
    if (project.mark && !isOwnMark(project.mark, desired)) throw foreignData('directory');
    this.changes += 1;
    const files = filesFor(desired, this.#imageOf(desired));
    Object.assign(project, { mark: markOf(desired), files });
  }

  async startDatabase(desired: DesiredInstance): Promise<void> {
    this.#checkHere();
    this.changes += 1;
    this.#projectOf(desired.id).isDatabaseUp = true;
  }

  async start(desired: DesiredInstance): Promise<void> {
    this.#checkHere();
    const { id, ports } = desired;
    const project = this.#projectOf(id);
    if (project.files === null || ports === null)
      throw new RetryableError('StartFailed', 'There is no Compose file.');
    for (const port of [ports.http, ports.longpolling])
      if (this.#isTaken(port, id)) throw new PortTakenError('PortTaken', `${port} is taken.`);
    if (this.curable.has(id)) this.silent.delete(id);
    this.changes += 1;
    this.#release(project);
    for (const port of [ports.http, ports.longpolling]) this.#portOwners.set(port, id);
    const up = { containers: 'running', isDatabaseUp: hasOwnDatabase(desired) } as const;
    const limits = limitsOf(desired);
    const made = { madeFrom: project.files, containersMark: desired.identity, limits };
    Object.assign(project, { ...up, ...made, ports, isAnswering: false });
    this.happened(id);
  }

  async awaitListening({ id }: DesiredInstance, signal: AbortSignal): Promise<boolean> {
    if (this.#projectOf(id).containers !== 'running')
      throw new RetryableError('StartFailed', 'It ended while it was starting.');
    if (!this.silent.has(id)) return true;
    signal.throwIfAborted();
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  }

  async awaitLogin(desired: DesiredInstance, signal: AbortSignal): Promise<boolean> {
    await this.awaitListening(desired, signal);
    this.#projectOf(desired.id).isAnswering = true;
    return true;
  }

  async rehearse({ id }: Spare): Promise<void> {
    if (!this.#projectOf(id).isAnswering) throw new Error(`the spare ${id} does not answer`);
  }

  async forgetSessions(): Promise<void> {}

  async admit(
    { id }: DesiredInstance,
    { sid }: OdooSession,
    browser: Readonly<Record<string, string>>,
  ): Promise<boolean> {
    this.admitted.push({ id, sid, browser });
    return !this.silent.has(id);
  }

  mayBeSpare(templateCode: string): boolean {
    return templateCode !== 'odoo-own-db';
  }

  async renewMark(desired: DesiredInstance): Promise<void> {
    const { mark } = this.#projectOf(desired.id);
    if (!mark || !isOwnMark(mark, desired)) throw foreignData('directory');
    Object.assign(mark, markOf(desired));
  }

  async applyLimits(desired: DesiredInstance): Promise<void> {
    this.#checkHere();
    this.changes += 1;
    this.#projectOf(desired.id).limits = limitsOf(desired);
  }

  async updateAppsList(desired: DesiredInstance): Promise<boolean> {
    this.#checkHere();
    this.changes += 1;
    this.#projectOf(desired.id).appsList = commitsOf(desired);
    return true;
  }

  async stop({ id }: DesiredInstance): Promise<void> {
    this.#checkHere();
    this.changes += 1;
    this.die(id);
  }

  async restart(desired: DesiredInstance): Promise<void> {
    this.#checkHere();
    this.die(desired.id);
    await this.start(desired);
  }

  async removeContainers({ id }: DesiredInstance): Promise<void> {
    this.#checkHere();
    this.changes += 1;
    this.die(id);
    this.#projectOf(id).containers = 'none';
  }

  async purge({ id }: DesiredInstance): Promise<void> {
    this.#checkHere();
    this.changes += 1;
    this.die(id);
    this.projects.delete(id);
  }

  url({ ports }: Pick<DesiredInstance, 'ports'>): string {
    return `http://127.0.0.1:${ports?.http}`;
  }

  async list() {
    this.#checkHere();
    const found = [...this.projects].filter(([, { containers }]) => containers !== 'none');
    return new Map(
      found.map(([id, { containers, isDatabaseUp, ports }]) => [
        id,
        {
          running: containers === 'running',
          up: containers === 'running' || containers === 'paused',
          httpPort: ports?.http ?? 0,
          hasOwnDatabase: isDatabaseUp,
          containers: [`container-${id}`],
        },
      ]),
    );
  }

  async removeStaleHelpers(): Promise<string[]> {
    this.#checkHere();
    return this.helpers.splice(0);
  }

  watch(changed: (id: number | null) => void, signal: AbortSignal): Promise<void> {
    this.#watchers.add(changed);
    return new Promise((resolve) => {
      const end = () => {
        this.#watchers.delete(changed);
        resolve();
      };
      signal.addEventListener('abort', end, { once: true });
    });
  }

  // -- what happens to it from outside -----------------------------------------------------------

  /** Docker tells of a change; null: something may have been missed. */
  happened(id: number | null): void {
    if (!this.isAway) for (const changed of this.#watchers) changed(id);
  }

  /** The instance's containers end: by themselves, by somebody's hand or by stop(). */
  die(id: number): void {
    const project = this.#projectOf(id);
    this.#release(project);
    if (project.containers !== 'none') project.containers = 'stopped';
    Object.assign(project, { isDatabaseUp: false, isAnswering: false });
    this.happened(id);
  }

  /** An instance that answered does not any more, though its containers run. */
  hang(id: number): void {
    this.silent.add(id);
    this.#projectOf(id).isAnswering = false;
  }

  async probe(id: number): Promise<Health> {
    const project = this.#projectOf(id);
    if (this.emptied.has(id)) return 'emptied';
    return project.containers === 'running' && project.isAnswering ? 'well' : 'silent';
  }

  /** Somebody pauses its containers by hand. */
  pause(id: number): void {
    this.#projectOf(id).containers = 'paused';
    this.happened(id);
  }

  comeBack(): void {
    this.isAway = false;
    this.happened(null);
  }

  isDatabaseUp(id: number): boolean {
    return this.#projectOf(id).isDatabaseUp;
  }

  /** Its pin; until Odoo has one, what its files name. */
  #imageOf({ id, imageDigest, wasReady }: DesiredInstance): string {
    const { files } = this.#projectOf(id);
    return imageDigest || (wasReady && files !== null ? imageIn(files) : this.newestImage);
  }

  #isTaken(port: number, id: number): boolean {
    const owner = this.#portOwners.get(port);
    const isElsewhere = owner !== undefined && owner !== id;
    return isElsewhere || this.foreignPorts.has(port) || this.stolenPorts.has(port);
  }

  #release(project: Project): void {
    if (!project.ports) return;
    this.#portOwners.delete(project.ports.http);
    this.#portOwners.delete(project.ports.longpolling);
    project.ports = null;
  }

  #projectOf(id: number): Project {
    const project = this.projects.get(id) ?? {
      mark: null,
      containersMark: null,
      files: null,
      isDatabaseUp: false,
      containers: 'none',
      madeFrom: null,
      ports: null,
      limits: '',
      appsList: '',
      isAnswering: false,
    };
    this.projects.set(id, project);
    return project;
  }

  #checkHere(): void {
    if (this.isAway) throw new RetryableError('DockerUnavailable', 'Docker does not answer.');
  }
}

const NOTHING = {
  directory: 'nobody',
  containerOwner: 'nobody',
  checkouts: 'missing',
  files: 'absent',
  data: 'absent',
  containers: 'none',
  answering: false,
  appsList: 'current',
  limits: 'current',
} as const;

function commitsOf({ repositories }: DesiredInstance): string {
  return repositories.map(({ commit }) => commit).join();
}

function directoryOwner({ files, mark }: Project, desired: DesiredInstance): Owner {
  if (files === null) return 'nobody';
  if (!mark) return 'unmarked';
  return isOwnMark(mark, desired) ? 'own' : 'foreign';
}

function ownerOf(
  isThere: boolean,
  mark: string | null | undefined,
  { identity }: DesiredInstance,
): Owner {
  if (!isThere) return 'nobody';
  if (!mark) return 'unmarked';
  return mark === identity ? 'own' : 'foreign';
}

function markOf(desired: DesiredInstance): MarkedInstance {
  const { repositories: all, ...rest } = desired;
  const { id, identity, name, ports, restartCount, soldAs, subdomain, templateCode } = rest;
  const repositories = all.map(({ id: _, ...repository }) => repository);
  const sold = { restartCount, soldAs, templateCode, repositories };
  const nobodys = { isCopy: desired.copyOf !== null, isSpare: desired.spare === 'kept' };
  return { id, identity, name, subdomain, ports, ...nobodys, ...sold };
}

export function hasOwnDatabase({ templateCode }: DesiredInstance): boolean {
  return templateCode === 'odoo-own-db';
}

/** The image that files name. */
function imageIn(files: string): string {
  return JSON.parse(files).at(-2);
}

/** All that an instance's files depend on, its limits last. */
export function filesFor(
  { ports, restartCount, templateCode, repositories, memoryMb, cpus, imageDigest }: DesiredInstance,
  image = imageDigest,
): string {
  const commits = repositories.map(({ commit }) => commit);
  const limits = { memoryMb, cpus };
  return JSON.stringify([ports, restartCount, templateCode, commits, image, limits]);
}

/** What Project.limits is of an instance that has the limits of its plan. */
export function limitsOf({ cpus, memoryMb }: DesiredInstance): string {
  return JSON.stringify({ cpus, memoryMb });
}

/** Whether two instances' files differ in nothing but memory and processors. */
export function areSameButLimits(one: string | null, other: string): boolean {
  const rest = (files: string) => JSON.stringify(JSON.parse(files).slice(0, -1));
  return one !== null && rest(one) === rest(other);
}

function hasProcess(containers: Project['containers']): boolean {
  return containers === 'running' || containers === 'paused';
}
