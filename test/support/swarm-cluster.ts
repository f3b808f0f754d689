import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { openSync, writeFileSync } from 'node:fs';
import { access, mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { varPath } from '../../stack/paths.ts';
import { run, succeeds } from '../../stack/run.ts';
import { until } from '../../stack/until.ts';

/** The network of the cluster; its first address is the tests' own, where the door and the sidecar are. */
const NETWORK = '10.231.77';
const BRIDGE = 'microsaas-swarm';

const MANAGERS = 3;

/** How long an engine may take to answer, in seconds. */
const START_SECONDS = 60;

/** How long the managers may take to hear of each other again, in seconds. */
const WHOLE_SECONDS = 180;

/** One engine with a network namespace, a host name, a data-root and a cgroup of its own: a machine, as far as Swarm can tell. */
export interface SwarmNode {
  readonly name: string;
  /** Where its published ports are. */
  readonly address: string;
  /** Of its Engine API. */
  readonly socket: string;
}

/**
 * Three engines as the managers of one swarm, which work too, and one more beside them that is in no swarm: the sidecar's host, with the
 * database. All of the machine's own engine, in the namespaces of the process that made them (own-namespaces.ts).
 */
export class SwarmCluster {
  readonly nodes: readonly SwarmNode[];
  readonly host: SwarmNode;
  /** A folder that all nodes have at this path. */
  readonly sharedDir: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.sharedDir = join(folder, 'shared');
    const at = (name: string, last: number) => ({
      name,
      address: `${NETWORK}.${last}`,
      socket: join(folder, name, 'docker.sock'),
    });
    this.nodes = Array.from({ length: MANAGERS }, (_, index) => at(`n${index + 1}`, 11 + index));
    this.host = at('host', 20);
  }

  /**
   * Forms it, with these images of the machine's own engine on every node.
   * @throws Error where this process has not been started in namespaces of its own
   */
  static async form(images: readonly string[]): Promise<SwarmCluster> {
    if (Object.keys(networkInterfaces()).length > 0)
      throw new Error(
        'A cluster is formed in namespaces of its own alone: npm test -- --only swarm',
      );
    const cluster = new SwarmCluster(varPath('swarm'));
    await cluster.#clear();
    await cluster.#form(images);
    return cluster;
  }

  async #form(images: readonly string[]): Promise<void> {
    await mkdir(this.sharedDir, { recursive: true });
    const seed = await seeded(images);
    await run('ip', ['link', 'set', 'lo', 'up']);
    await run('ip', ['link', 'add', BRIDGE, 'type', 'bridge']);
    await run('ip', ['address', 'add', `${NETWORK}.1/24`, 'dev', BRIDGE]);
    await run('ip', ['link', 'set', BRIDGE, 'up']);
    const all = [...this.nodes, this.host];
    await Promise.all(
      all.map(async (node) => {
        await giveImages(seed, this.#data(node));
        await this.#start(node);
      }),
    );
    const [first, ...others] = this.nodes;
    if (!first) return;
    await this.docker(first, 'swarm', 'init', ...joining(first), '--task-history-limit', '2');
    const token = await this.docker(first, 'swarm', 'join-token', '--quiet', 'manager');
    for (const node of others)
      await this.docker(
        node,
        ...['swarm', 'join', ...joining(node), '--token', token, `${first.address}:2377`],
      );
  }

  /** Runs the Docker CLI on a node. @returns its stdout */
  docker(node: SwarmNode, ...args: string[]): Promise<string> {
    return run('docker', ['--host', `unix://${node.socket}`, ...args], { timeout: 300_000 });
  }

  /** Swarm's id of a node. */
  idOf(node: SwarmNode): Promise<string> {
    return this.docker(node, 'info', '--format', '{{.Swarm.NodeID}}');
  }

  /** The node of this name. */
  node(name: string): SwarmNode {
    const found = this.nodes.find((node) => node.name === name);
    if (!found) throw new TypeError(`no node is called ${name}`);
    return found;
  }

  /** What a loss of power does: everything on the node ends at once, its memory with its links and rules goes, its disk stays. */
  async losePower(node: SwarmNode): Promise<void> {
    await this.#kill(node);
    await run('ip', ['netns', 'delete', namespaceOf(node)]);
    await this.#unmount(node);
  }

  /** The power is back. */
  async regainPower(node: SwarmNode): Promise<void> {
    await rm(join(this.#of(node), 'exec'), { recursive: true, force: true });
    await this.#start(node);
  }

  /** Cuts a node from all others; what it runs goes on, and so does its socket. */
  async isolate(node: SwarmNode): Promise<void> {
    await run('ip', ['link', 'set', linkOf(node), 'down']);
  }

  /** Cuts a node from the other nodes alone: it reaches the host beside them, with the database, and is reached from there. */
  async cutFromNodes(node: SwarmNode): Promise<void> {
    for (const { address } of this.nodes.filter((other) => other !== node))
      await this.#route(node, 'add', address);
  }

  async heal(node: SwarmNode): Promise<void> {
    await run('ip', ['link', 'set', linkOf(node), 'up']);
    for (const { address } of this.nodes)
      await this.#route(node, 'delete', address).catch(() => {});
  }

  /** Waits until each manager hears of all others: without the majority of them, the loss of one more would end the swarm. */
  async whole(): Promise<void> {
    if (!(await until(() => this.#isWhole(), WHOLE_SECONDS)))
      throw new Error('The managers do not hear of each other.');
  }

  async #isWhole(): Promise<boolean> {
    const format = ['node', 'ls', '--format', '{{.Status}} {{.ManagerStatus}}'];
    const seen = await Promise.all(
      this.nodes.map((node) => this.docker(node, ...format).catch(() => '')),
    );
    return seen.every((text) => {
      const lines = text.split('\n');
      return (
        lines.length === MANAGERS && lines.every((it) => /^Ready (Leader|Reachable)$/.test(it))
      );
    });
  }

  /** What a node sends to this address is lost, and so is what would be the answer to whoever is there. */
  async #route(node: SwarmNode, change: 'add' | 'delete', address: string): Promise<void> {
    await run('ip', ['-n', namespaceOf(node), 'route', change, 'blackhole', address]);
  }

  /** Ends it all and removes its data. */
  async end(): Promise<void> {
    for (const node of [...this.nodes, this.host]) {
      await this.#kill(node);
      await succeeds('ip', ['netns', 'delete', namespaceOf(node)]);
    }
    await succeeds('ip', ['link', 'delete', BRIDGE]);
    await this.#clear();
  }

  async #clear(): Promise<void> {
    for (const node of [...this.nodes, this.host]) {
      await this.#unmount(node);
      await rm(this.#of(node), { recursive: true, force: true });
    }
    for (const path of await cgroupsAt(CGROUP)) await removeCgroup(path);
    await rm(this.sharedDir, { recursive: true, force: true });
  }

  #of({ name }: SwarmNode): string {
    return join(this.#folder, name);
  }

  #data(node: SwarmNode): string {
    return join(this.#of(node), 'data');
  }

  async #start(node: SwarmNode): Promise<void> {
    const namespace = namespaceOf(node);
    await run('ip', ['netns', 'add', namespace]);
    const [link, within] = [linkOf(node), ['-n', namespace] as const];
    const pair = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace];
    await run('ip', ['link', 'add', link, ...pair]);
    await run('ip', ['link', 'set', link, 'master', BRIDGE, 'up']);
    for (const args of [
      ['link', 'set', 'lo', 'up'],
      ['address', 'add', `${node.address}/24`, 'dev', 'eth0'],
      ['link', 'set', 'eth0', 'up'],
      ['route', 'add', 'default', 'via', `${NETWORK}.1`],
    ])
      await run('ip', [...within, ...args]);
    const inNetwork = [`--net=/run/netns/${namespace}`];
    await run('nsenter', [...inNetwork, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    const folder = this.#of(node);
    await mkdir(this.#data(node), { recursive: true });
    const hostName = join(folder, 'uts');
    await writeFile(hostName, '');
    await run('unshare', [`--uts=${hostName}`, 'hostname', node.name]);
    await writeFile(
      join(folder, 'daemon.json'),
      // What several-hosts.md asks for on each node: tenants do not reach each other, nor is a port published on another address.
      JSON.stringify({ icc: false, ip: node.address, 'no-new-privileges': true }),
    );
    await rm(join(folder, 'docker.pid'), { force: true });
    const log = openSync(join(folder, 'dockerd.log'), 'a', 0o600);
    const engine = spawn(
      'nsenter',
      [
        ...[...inNetwork, `--uts=${hostName}`, 'dockerd', '--host', `unix://${node.socket}`],
        ...['--config-file', join(folder, 'daemon.json'), '--data-root', this.#data(node)],
        ...['--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'docker.pid')],
        ...['--cgroup-parent', cgroupOf(node)],
      ],
      { detached: true, stdio: ['ignore', log, log] },
    );
    engine.once('error', (error) => writeFileSync(log, String(error)));
    engine.unref();
    if (!(await until(() => this.#answers(node), START_SECONDS, 100)))
      throw new Error(`The engine ${node.name} did not start: ${join(folder, 'dockerd.log')}`);
  }

  #answers(node: SwarmNode): Promise<boolean> {
    return succeeds('docker', ['--host', `unix://${node.socket}`, 'version']);
  }

  /** By their ids: what is in the node's network, and what is in its cgroup. */
  async #kill(node: SwarmNode): Promise<void> {
    for (;;) {
      const processes = await processesOf(node);
      if (processes.length === 0) return;
      for (const id of processes) end(id);
      await sleep(50);
    }
  }

  async #unmount(node: SwarmNode): Promise<void> {
    const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
    const paths = mounts.map((line) => line.split(' ')[1] ?? '');
    // The innermost first.
    for (const path of paths.filter((it) => it.startsWith(`${this.#of(node)}/`)).reverse())
      await succeeds('umount', ['--lazy', path]);
  }
}

function joining({ address }: SwarmNode): string[] {
  return [
    ...['--advertise-addr', address, '--listen-addr', `${address}:2377`],
    ...['--data-path-addr', address],
  ];
}

const namespaceOf = ({ name }: SwarmNode) => `microsaas-swarm-${name}`;
const linkOf = ({ name }: SwarmNode) => `ms-swarm-${name}`;
/** With those of the nodes in it. */
const CGROUP = '/microsaas-swarm';
const cgroupOf = ({ name }: SwarmNode) => `${CGROUP}/${name}`;

/** Where a cgroup is, in each hierarchy that has it: one of cgroups version 2, several of version 1. */
async function cgroupsAt(path: string): Promise<string[]> {
  const root = '/sys/fs/cgroup';
  const hierarchies = ['', ...(await readdir(root))].map((name) => join(root, name, path));
  const found = await Promise.all(hierarchies.map((path) => isThere(path)));
  return hierarchies.filter((_, index) => found[index]);
}

async function processesOf(node: SwarmNode): Promise<number[]> {
  const inNetwork = await run('ip', ['netns', 'pids', namespaceOf(node)]).catch(() => '');
  const texts = [inNetwork];
  for (const path of await cgroupsAt(cgroupOf(node)))
    for (const entry of await readdir(path, { recursive: true }))
      if (entry.endsWith('cgroup.procs'))
        texts.push(await readFile(join(path, entry), 'utf8').catch(() => ''));
  return [...new Set(texts.join('\n').split('\n').filter(Boolean).map(Number))];
}

function end(process_: number): void {
  try {
    process.kill(process_, 'SIGKILL');
  } catch {
    // It has ended by itself meanwhile.
  }
}

async function removeCgroup(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true }))
    if (entry.isDirectory()) await removeCgroup(join(path, entry.name));
  await rmdir(path);
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** What of a data-root is its images. The engine never writes into a layer, and replaces the other files. */
const OF_IMAGES = ['image', 'overlay2'];

/** A data-root with these images of the machine's own engine, made once for each set of them. @returns its path */
async function seeded(images: readonly string[]): Promise<string> {
  const ids = await run('docker', ['image', 'inspect', '--format', '{{.Id}}', '--', ...images]);
  const key = createHash('sha256').update(ids).digest('hex').slice(0, 12);
  const [folder, seed] = [varPath('swarm-images'), varPath('swarm-images', key)];
  if (await isThere(seed)) return seed;
  // Of other images: each is a few gigabytes.
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const [work, socket] = [join(folder, 'work'), join(folder, 'docker.sock')];
  const archive = join(folder, 'images.tar');
  await run('docker', ['save', '--output', archive, ...images], { timeout: 600_000 });
  const log = openSync(join(folder, 'dockerd.log'), 'a', 0o600);
  const engine = spawn(
    'dockerd',
    [
      ...['--data-root', work, '--exec-root', join(folder, 'exec'), '--host', `unix://${socket}`],
      ...['--pidfile', join(folder, 'docker.pid'), '--iptables=false', '--bridge=none'],
    ],
    { stdio: ['ignore', log, log] },
  );
  const ended = new Promise((resolve) => engine.once('exit', resolve));
  const at = ['--host', `unix://${socket}`];
  if (!(await until(() => succeeds('docker', [...at, 'version']), START_SECONDS)))
    throw new Error(`The engine that loads images did not start: ${join(folder, 'dockerd.log')}`);
  await run('docker', [...at, 'load', '--input', archive], { timeout: 600_000 });
  engine.kill('SIGTERM');
  await ended;
  await rm(archive);
  await rename(work, seed);
  return seed;
}

/** By hard links: in a moment, and without taking the disk a second time. */
async function giveImages(seed: string, data: string): Promise<void> {
  await mkdir(data, { recursive: true });
  const from = OF_IMAGES.map((name) => join(seed, name));
  await run('cp', ['--archive', '--link', '--', ...from, data], { timeout: 300_000 });
}
