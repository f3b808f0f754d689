import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { Container, DockerApi, Limits, MadeWith } from '../../src/docker/docker-api.ts';
import type { DockerCli } from '../../src/docker/docker-cli.ts';
import { CommandError, RetryableError } from '../../src/errors.ts';
import type { Command } from '../../src/host/exec.ts';

/** A container as the daemon keeps it. */
export interface KeptContainer extends Container {
  state: string;
  readonly image: string;
  /** All ports of the host that it has while it runs. */
  readonly hostPorts: readonly number[];
  /** The id of the network it was made on: another network of the same name is not it. */
  readonly networkId: string;
  /** What it may use. */
  limits: Limits;
  /** How often the daemon has restarted it by itself. */
  restarts: number;
  /** How its last end came: `graceful` by a signal it heard, `killed` without having heard one. */
  ended: 'graceful' | 'killed' | null;
}

interface KeptNetwork {
  readonly id: string;
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

interface ComposeService {
  readonly image: string;
  readonly container_name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly depends_on?: readonly string[];
  /** Such as `1024m`. */
  readonly mem_limit: string;
  readonly cpus: number;
  readonly ports?: ReadonlyArray<{ readonly target: number; readonly published: string }>;
}

interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly networks?: { readonly instances?: { readonly name: string } };
}

/** One run of Docker's program. */
export interface Run {
  readonly command: Command;
  readonly input: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * A Docker daemon in memory, by both of the ways in that the product uses: `api` is its HTTP API, `cli` its program, Compose included.
 * It knows images, networks and containers, and refuses what the daemon refuses: a port that is bound, a network that somebody is
 * on or that is another one by now. It starts no process: what a container does is for the test to say.
 */
export class FakeDocker {
  readonly containers = new Map<string, KeptContainer>();
  /** What containers were made with, by their id. */
  readonly madeWith = new Map<string, Partial<MadeWith>>();
  readonly networks = new Map<string, KeptNetwork>();
  /** The ids of the images that are here, by name. */
  readonly images = new Map<string, string>();
  /** Those that can be pulled. */
  readonly registry = new Map<string, string>();
  /** How many processors this host has. */
  processors = 4;
  /** Ports of the host that other programs have bound. */
  readonly boundPorts = new Set<number>();
  /** What `docker run` answers, by the entrypoint. It may throw, and so end with an exit code. */
  readonly programs = new Map<string, (run: Run) => string | Promise<string>>();
  /** What containers have written, by their names. Docker keeps none of the others'. */
  readonly logs = new Map<string, string>();
  readonly runs: Run[] = [];
  /** The names of the containers that were started by the API, in order. */
  readonly startedAgain: string[] = [];
  /** What `docker version` and `docker compose version` say; '' where the program is not installed. */
  versions = { engine: '28.2.2', runc: '1.2.8', compose: 'v2.36.0' };
  isAway = false;
  /** Of all networks, in CIDR notation. */
  subnets: string[] = [];
  #lastId = 0;

  /** The commands of Docker's program that begin with these words, options left out: `pull`, `network create`, `compose up`. */
  ran(...words: readonly string[]): Run[] {
    return this.runs.filter(
      ({ command }) => wordsOf(command).slice(0, words.length).join() === words.join(),
    );
  }

  container(name: string): KeptContainer {
    const found = [...this.containers.values()].find((it) => it.name === name);
    if (!found) throw new Error(`there is no container ${name}`);
    return found;
  }

  readonly api = new FakeDockerApi(this) as unknown as DockerApi;

  readonly cli: DockerCli = async (command, { input, signal } = {}) => {
    const run = { command, input, signal };
    this.runs.push(run);
    // A process is started, which takes its time: whoever else is at work goes on meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
    if (signal?.aborted) throw new CommandError(command, null, 'it was interrupted');
    if (this.isAway) throw new CommandError(command, 1, 'Cannot connect to the Docker daemon');
    const operands = command.slice(command.indexOf('--') + 1);
    switch (wordsOf(command).slice(0, 2).join(' ')) {
      case 'compose version':
        if (!this.versions.compose)
          throw new CommandError(command, 1, "'compose' is not a docker command");
        return this.versions.compose;
      case 'compose up':
        this.#composeUp(command, operands);
        return '';
      case 'network create':
        this.#networkCreate(command, operands[0] ?? '');
        return '';
      case 'network rm':
        this.#networkRemove(command, operands[0] ?? '');
        return '';
      default:
    }
    switch (wordsOf(command)[0]) {
      case 'version': {
        const { engine, runc } = this.versions;
        const asksForAll = optionOf(command, '--format').includes('.Components');
        const components = ` Engine ${engine} containerd v1.7.27${runc && ` runc ${runc}`}`;
        return asksForAll ? engine + components : engine;
      }
      case 'pull':
        return this.#pull(command, operands[0] ?? '');
      case 'rm':
        for (const name of operands) this.#forget(command, name);
        return '';
      case 'logs':
        return this.#logOf(command, operands[0] ?? '');
      case 'run':
        return this.#run(run);
      default:
        throw new TypeError(`the fake does not know: ${command.join(' ')}`);
    }
  };

  checkHere(): void {
    if (this.isAway) throw new RetryableError('DockerUnavailable', 'Docker does not answer.');
  }

  /** Somebody's container on a network, none of Compose's. */
  join(network: string, name: string): void {
    this.#make({ name, labels: {}, image: 'any', networkId: this.networks.get(network)?.id ?? '' });
  }

  /** A container that somebody made with `docker run`. @param created in seconds since the epoch */
  helper(name: string, labels: Record<string, string>, state: string, created: number): void {
    this.#make({ name, labels, state, created, image: 'any', networkId: '' });
  }

  /** The Odoo of an instance as if Compose had made it; null: there is none. */
  standIn(
    install: string,
    id: number,
    container: { readonly state: string; readonly restarts?: number } | null,
  ): void {
    const labels = { 'microsaas.install': install, 'microsaas.instance': String(id) };
    const name = `ms-${install}-${id}-odoo`;
    if (container) this.#make({ name, labels, image: 'any', networkId: '', ...container });
  }

  /** Starts a container by its id, as the API does. @throws RetryableError for what the daemon refuses */
  startAgain(id: string): void {
    const kept = this.containers.get(id);
    if (!kept) throw new RetryableError('DockerRefused', `No such container: ${id}`);
    if (kept.state === 'running') return;
    if (kept.state === 'paused') throw new RetryableError('DockerRefused', 'It is paused.');
    const isOnNetwork = [...this.networks.values()].some((it) => it.id === kept.networkId);
    if (!isOnNetwork) throw new RetryableError('DockerRefused', 'Its network is not found.');
    if (kept.hostPorts.some((port) => this.#isBound(port)))
      throw new RetryableError('DockerFailed', 'port is already allocated');
    kept.state = 'running';
    this.startedAgain.push(kept.name);
  }

  #composeUp(command: Command, services: readonly string[]): void {
    const file: ComposeFile = parse(readFileSync(optionOf(command, '--file'), 'utf8'));
    const project = optionOf(command, '--project-name');
    const network = this.networks.get(file.networks?.instances?.name ?? '');
    if (!network)
      throw new CommandError(command, 1, 'network declared as external, but could not be found');
    for (const [name, service] of Object.entries(file.services)) {
      if (services.length > 0 && !services.includes(name)) continue;
      this.#bringUp(command, project, name, service, network);
    }
  }

  /** Leaves alone what is as the file says, a paused one too; starts what is down; makes again what was made from another file. */
  #bringUp(
    command: Command,
    project: string,
    service: string,
    {
      container_name: name,
      cpus,
      depends_on,
      image,
      labels,
      mem_limit,
      ports = [],
    }: ComposeService,
    network: KeptNetwork,
  ): void {
    const found = [...this.containers.values()].find((it) => it.name === name);
    const digest = 'microsaas.digest';
    if (found && found.labels[digest] !== labels[digest]) this.containers.delete(found.id);
    const kept = this.containers.get(found?.id ?? '');
    if (kept && (kept.state === 'running' || kept.state === 'paused')) return;
    if (kept && kept.networkId !== network.id)
      throw new CommandError(command, 1, `network ${kept.networkId} not found`);
    const hostPorts = ports.map((port) => Number(port.published));
    for (const port of hostPorts)
      if (this.#isBound(port))
        throw new CommandError(
          command,
          1,
          `listen tcp4 127.0.0.1:${port}: bind: address already in use`,
        );
    if (kept) kept.state = 'running';
    else
      this.#make({
        ...{ name, image, hostPorts, networkId: network.id },
        created: Math.floor(Date.now() / 1000),
        published: new Map(ports.map((port) => [port.target, Number(port.published)])),
        limits: {
          memoryBytes: Number.parseInt(mem_limit, 10) * 2 ** 20,
          nanoCpus: Math.round(cpus * 1e9),
        },
        labels: {
          ...labels,
          'com.docker.compose.project': project,
          'com.docker.compose.service': service,
          'com.docker.compose.depends_on': (depends_on ?? [])
            .map((it) => `${it}:service_started:false`)
            .join(),
        },
      });
  }

  #make(
    over: Partial<KeptContainer> & Pick<KeptContainer, 'name' | 'image' | 'labels' | 'networkId'>,
  ) {
    const id = `c${++this.#lastId}`;
    const usual = {
      id,
      state: 'running',
      created: 0,
      published: new Map(),
      hostPorts: [],
      limits: { memoryBytes: 0, nanoCpus: 0 },
      restarts: 0,
      ended: null,
    };
    this.containers.set(id, { ...usual, ...over });
  }

  #isBound(port: number): boolean {
    const up = [...this.containers.values()].filter(({ state }) => state === 'running');
    return this.boundPorts.has(port) || up.some(({ hostPorts }) => hostPorts.includes(port));
  }

  #networkCreate(command: Command, name: string): void {
    if (this.networks.has(name))
      throw new CommandError(command, 1, `network with name ${name} already exists`);
    const id = `n${++this.#lastId}`;
    const [options, labels] = [pairsOf(command, '--opt'), pairsOf(command, '--label')];
    this.networks.set(name, { id, name, options, labels });
  }

  #networkRemove(command: Command, name: string): void {
    if (!this.networks.has(name)) throw new CommandError(command, 1, `network ${name} not found`);
    if (this.membersOf(name) > 0)
      throw new CommandError(command, 1, 'network has active endpoints');
    this.networks.delete(name);
  }

  /** As the network itself shows them: those that are down are not on it. */
  membersOf(name: string): number {
    const { id } = this.networks.get(name) ?? {};
    const up = [...this.containers.values()].filter(
      ({ state }) => state === 'running' || state === 'paused',
    );
    return up.filter(({ networkId }) => networkId === id).length;
  }

  #pull(command: Command, image: string): string {
    const id = this.registry.get(image);
    if (!id) throw new CommandError(command, 1, `pull access denied for ${image}`);
    this.images.set(image, id);
    return image;
  }

  #logOf(command: Command, name: string): string {
    const log = this.logs.get(name);
    if (log === undefined) throw new CommandError(command, 1, `No such container: ${name}`);
    return log;
  }

  #forget(command: Command, name: string): void {
    const found = [...this.containers.values()].find((it) => it.name === name);
    if (!found) throw new CommandError(command, 1, `No such container: ${name}`);
    this.containers.delete(found.id);
  }

  async #run(run: Run): Promise<string> {
    const entrypoint = optionOf(run.command, '--entrypoint');
    const program = this.programs.get(entrypoint);
    if (!program) throw new CommandError(run.command, 127, `no program ${entrypoint} in the fake`);
    return program(run);
  }
}

/** The HTTP API of the fake daemon: every method that the real one's client has. */
class FakeDockerApi implements Pick<DockerApi, keyof DockerApi> {
  readonly #docker: FakeDocker;

  constructor(docker: FakeDocker) {
    this.#docker = docker;
  }

  async ping(): Promise<void> {
    this.#docker.checkHere();
  }

  async containers(labels: readonly string[]): Promise<Container[]> {
    this.#docker.checkHere();
    const wanted = labels.map((label) => label.split('='));
    return [...this.#docker.containers.values()]
      .filter((it) =>
        wanted.every(([name = '', value]) =>
          value === undefined ? name in it.labels : it.labels[name] === value,
        ),
      )
      .map((it) => ({ ...it }));
  }

  async madeWith(id: string): Promise<MadeWith> {
    this.#docker.checkHere();
    const made = this.#docker.madeWith.get(id);
    return { mounts: made?.mounts ?? [], environment: made?.environment ?? new Map() };
  }

  async limits(id: string): Promise<Limits> {
    this.#docker.checkHere();
    const found = this.#docker.containers.get(id);
    if (!found) throw new RetryableError('DockerRefused', 'Docker refused a request.');
    return found.limits;
  }

  async limit(id: string, limits: Limits): Promise<void> {
    this.#docker.checkHere();
    const found = this.#docker.containers.get(id);
    if (!found || limits.nanoCpus > this.#docker.processors * 1e9)
      throw new RetryableError('DockerRefused', 'Docker refused a request.');
    found.limits = limits;
  }

  async restarts(id: string): Promise<number> {
    this.#docker.checkHere();
    return this.#docker.containers.get(id)?.restarts ?? 0;
  }

  async memory(id: string): Promise<number | null> {
    this.#docker.checkHere();
    return this.#docker.containers.get(id)?.state === 'running' ? 100 * 2 ** 20 : null;
  }

  async start(id: string, signal: AbortSignal): Promise<void> {
    this.#docker.checkHere();
    signal.throwIfAborted();
    this.#docker.startAgain(id);
  }

  async stop(id: string, signal: AbortSignal): Promise<void> {
    this.#docker.checkHere();
    signal.throwIfAborted();
    const found = this.#docker.containers.get(id);
    if (!found || found.state === 'exited') return;
    found.ended = found.state === 'paused' ? 'killed' : 'graceful';
    found.state = 'exited';
  }

  async pause(id: string): Promise<void> {
    this.#docker.checkHere();
    const found = this.#docker.containers.get(id);
    if (found?.state === 'running') found.state = 'paused';
  }

  async unpause(id: string): Promise<void> {
    this.#docker.checkHere();
    const found = this.#docker.containers.get(id);
    if (found?.state === 'paused') found.state = 'running';
  }

  async remove(id: string): Promise<void> {
    this.#docker.checkHere();
    this.#docker.containers.delete(id);
  }

  async imageDigests(image: string): Promise<string[]> {
    const id = await this.imageId(image);
    const named = [...this.#docker.images].filter(
      ([name, one]) => one === id && name.includes('@'),
    );
    return named.map(([name]) => name);
  }

  async imageId(image: string): Promise<string | null> {
    this.#docker.checkHere();
    const { images } = this.#docker;
    return images.get(image) ?? [...images.values()].find((id) => id === image) ?? null;
  }

  async network(name: string) {
    this.#docker.checkHere();
    if (!this.#docker.networks.has(name)) return null;
    const containers = this.#docker.membersOf(name);
    return { subnet: '172.20.0.0/16', gateway: '172.20.0.1', containers };
  }

  async networks(label: string) {
    this.#docker.checkHere();
    const [name = '', value] = label.split('=');
    return [...this.#docker.networks.values()]
      .filter(({ labels }) => labels[name] === value)
      .map((it) => ({
        name: it.name,
        bridge: it.options['com.docker.network.bridge.name'] ?? `br-${it.id}`,
      }));
  }

  async addresses() {
    this.#docker.checkHere();
    return { subnets: this.#docker.subnets, pools: null };
  }

  async events(): Promise<void> {
    throw new RetryableError('DockerUnavailable', 'The fake tells of no events.');
  }
}

/** The words of a command that say what is to be done: neither options nor their values nor operands. */
function wordsOf(command: Command): string[] {
  const [, first = '', ...rest] = command;
  if (first !== 'compose' && first !== 'network') return [first];
  return [first, rest.find((it) => ['up', 'create', 'rm', 'version'].includes(it)) ?? ''];
}

/** The value of an option, in either of its spellings. */
function optionOf(command: Command, option: string): string {
  const joined = command.find((it) => it.startsWith(`${option}=`));
  return joined?.slice(option.length + 1) ?? command[command.indexOf(option) + 1] ?? '';
}

function pairsOf(command: Command, option: string): Record<string, string> {
  const values = command.filter((_, index) => command[index - 1] === option);
  return Object.fromEntries(values.map((it) => it.split(/=(.*)/s).slice(0, 2)));
}
