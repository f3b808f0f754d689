import { expect } from 'chai';
import { z } from 'zod';
import { isOlder } from '../../src/doctor.ts';
import { LOST_HARDENING } from '../../src/swarm/lost-hardening.ts';
import { probeNodes } from '../../src/swarm/node-probe.ts';
import { images } from '../../stack/images.ts';
import { anInstance } from '../support/samples.ts';
import type { SwarmNode } from '../support/swarm-cluster.ts';
import { theCluster } from './support/the-cluster.ts';
import { type ThrowawaySwarm, throwawaySwarm } from './support/throwaway-swarm.ts';

const INSTALL = 'swmhrd';

/** What Docker says of a container, as far as it keeps its program in. Names are Docker's; the first word is Compose's key. */
const inspectSchema = z
  .object({
    Config: z.object({
      User: z.string(),
      Env: z.array(z.string()),
      Entrypoint: z.array(z.string()).nullish(),
      Cmd: z.array(z.string()).nullish(),
    }),
    HostConfig: z.object({
      CapAdd: z.unknown(),
      CapDrop: z.unknown(),
      Privileged: z.boolean(),
      ReadonlyRootfs: z.boolean(),
      Init: z.boolean(),
      PidsLimit: z.int(),
      Memory: z.int(),
      MemorySwap: z.int(),
      NanoCpus: z.int(),
      SecurityOpt: z.array(z.string()).nullish(),
      LogConfig: z.unknown(),
      Sysctls: z.unknown(),
      PidMode: z.string(),
      IpcMode: z.string(),
      UTSMode: z.string(),
      UsernsMode: z.string(),
      NetworkMode: z.string(),
      PortBindings: z.record(z.string(), z.array(z.object({ HostIp: z.string() }))),
    }),
  })
  .transform(({ Config, HostConfig: it }) => ({
    user: Config.User,
    environment: Config.Env.toSorted(),
    command: [...(Config.Entrypoint ?? []), ...(Config.Cmd ?? [])],
    cap_add: it.CapAdd ?? [],
    cap_drop: it.CapDrop,
    privileged: it.Privileged,
    read_only: it.ReadonlyRootfs,
    init: it.Init,
    pids_limit: it.PidsLimit,
    mem_limit: it.Memory,
    memswap_limit: it.MemorySwap,
    cpus: it.NanoCpus,
    security_opt: it.SecurityOpt ?? [],
    logging: it.LogConfig,
    sysctls: it.Sysctls,
    namespaces: [it.PidMode, it.IpcMode, it.UTSMode, it.UsernsMode],
    networks: it.NetworkMode,
    'ports.host_ip': Object.values(it.PortBindings).flatMap((all) => all.map((one) => one.HostIp)),
  }));

describe('the hardening of an instance on a swarm', function () {
  this.timeout(300_000);
  const cluster = theCluster();
  let host: ThrowawaySwarm;
  beforeEach(async () => {
    host = await throwawaySwarm(cluster(), INSTALL);
  });
  afterEach(() => host.remove());

  const on = (node: SwarmNode, ...args: string[]) => cluster().docker(node, ...args);
  const idOn = (node: SwarmNode) =>
    on(node, 'ps', '--quiet', '--filter', `label=microsaas.install=${INSTALL}`);
  const inspect = async (node: SwarmNode) =>
    inspectSchema.parse(JSON.parse(await on(node, 'inspect', '--', await idOn(node)))[0]);
  /** What the kernel keeps its first process from, and how its own file systems are mounted. */
  const kernel = async (node: SwarmNode) => {
    const read = async (path: string) =>
      (await on(node, 'exec', await idOn(node), 'cat', path)).split('\n');
    const status = (await read('/proc/1/status')).filter((line) =>
      /^(Cap|NoNewPrivs|Seccomp:)/.test(line),
    );
    const mounts = (await read('/proc/self/mounts')).map((line) => line.split(' '));
    const own = mounts
      .filter(([, path = '']) => /^\/($|tmp|var\/lib\/odoo|mnt|etc\/odoo|run\/postgres)/.test(path))
      .filter(([, path = '']) => path !== '/etc/odoo/odoo.conf')
      .map(([, path, type, options = '']) => {
        const kept = options.split(',').filter((it) => /^(r[ow]|no\w+|size=|mode=)/.test(it));
        return `${path} ${type} ${kept.sort().join()}`;
      });
    return [...status, ...own.sort()];
  };

  it('is Compose’s, key by key, but for what is listed', async () => {
    const one = anInstance({ id: 1, memoryMb: 64, ports: { http: 21_000, longpolling: 21_001 } });
    await host.startNew(one);
    await host.startNew({ ...one, id: 2 }, host.compose);
    const [node] = await host.runsOn(1);
    if (!node) throw new TypeError('it runs nowhere');
    const [bySwarm, byCompose] = [await inspect(node), await inspect(cluster().host)];
    const lost = Object.entries(byCompose).filter(
      ([key, value]) =>
        JSON.stringify(value) !== JSON.stringify(bySwarm[key as keyof typeof bySwarm]),
    );
    const version = await on(node, 'version', '--format', '{{.Server.Version}}');
    const listed = LOST_HARDENING.map(({ key }) => key).filter(
      (key) => key !== 'security_opt' || isOlder(version, [25, 0, 0]),
    );
    expect(lost.map(([key]) => key)).to.have.members(listed);
    expect(await kernel(node), 'what the kernel says').to.deep.equal(await kernel(cluster().host));
    const conf = ['exec', await idOn(node), 'stat', '--format', '%a %u:%g', '/etc/odoo/odoo.conf'];
    expect(await on(node, ...conf), 'Odoo alone reads its configuration').to.equal('400 100:101');
  });

  it('is found on each node by the doctor, and so is a node without the image', async () => {
    const { sharedDir } = cluster();
    const [first] = cluster().nodes;
    if (!first) throw new TypeError('no node');
    const options = { install: INSTALL, swarm: host.swarm, sharedDir };
    const idOf = (name: string) => on(first, 'image', 'inspect', '--format', '{{.Id}}', '--', name);
    const well = { problem: '', noNewPrivileges: true, hasSwap: false };
    expect(await probeNodes(options, await idOf(images.odoo))).to.have.deep.members(
      cluster().nodes.map(({ name }) => ({ name, ...well })),
    );
    await on(first, 'create', '--name', 'changed', '--entrypoint', 'true', '--', images.odoo);
    await on(first, 'commit', 'changed', 'changed:1');
    const found = await probeNodes(options, await idOf('changed:1'));
    await on(first, 'rm', 'changed');
    // The container of the probe may be there for a moment still.
    await on(first, 'rmi', '--force', 'changed:1');
    const problems = new Map(found.map(({ name, problem }) => [name, problem]));
    expect(problems.get('n1')).to.equal('');
    expect(problems.get('n2')).to.match(/No such image/i);
    expect(await host.swarm.services()).to.deep.equal([]);
  });
});
