import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { PortTakenError } from '../../src/errors.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { images } from '../../stack/images.ts';
import { eventually } from '../e2e/support/eventually.ts';
import { anInstance } from '../support/samples.ts';
import type { SwarmNode } from '../support/swarm-cluster.ts';
import { theCluster } from './support/the-cluster.ts';
import { type ThrowawaySwarm, throwawaySwarm } from './support/throwaway-swarm.ts';

const INSTALL = 'swmtst';

describe('the engine on a real swarm', function () {
  this.timeout(300_000);
  const cluster = theCluster();
  const { signal } = new AbortController();
  let host: ThrowawaySwarm;
  let port = 20_000;
  let desired: DesiredInstance;

  beforeEach(async () => {
    port += 2;
    desired = anInstance({
      id: 1,
      memoryMb: 64,
      cpus: 0.5,
      ports: { http: port, longpolling: port + 1 },
    });
    host = await throwawaySwarm(cluster(), INSTALL);
  });
  afterEach(() => host.remove());

  const containers = async (of: DesiredInstance = desired) =>
    (await host.engine.observe(of, of.desiredState)).containers;
  const ids = async (node: SwarmNode) =>
    (
      await cluster().docker(
        node,
        'ps',
        '--quiet',
        '--filter',
        `label=microsaas.install=${INSTALL}`,
      )
    )
      .split('\n')
      .filter(Boolean);
  const nodesOf = async () => (await host.runsOn(1)).map(({ name }) => name);

  it('starts, lists, stops, starts again, restarts and removes an instance', async () => {
    await host.startNew(desired);
    const [node] = await host.runsOn(1);
    expect((await host.engine.list()).get(1)).to.deep.equal({
      ...{ running: true, up: true, hasOwnDatabase: false, containers: [] },
      ...{ address: node?.address, httpPort: desired.ports?.http },
    });
    expect(await containers()).to.equal('running');
    await host.engine.stop(desired, signal);
    expect(await nodesOf()).to.deep.equal([]);
    expect(await containers({ ...desired, desiredState: 'stopped' })).to.equal('stopped');
    await host.engine.start(desired, signal);
    await host.engine.awaitLogin(desired, signal);
    const again = { ...desired, restartCount: 1 };
    expect(await containers(again)).to.equal('outdated');
    await host.engine.render(again);
    await host.engine.start(again, signal);
    await host.engine.awaitLogin(again, signal);
    expect(await containers(again)).to.equal('running');
    expect(await nodesOf(), 'where it was').to.deep.equal([node?.name]);
    await host.engine.purge(again, signal);
    expect(await nodesOf()).to.deep.equal([]);
    expect(await host.swarm.services(`microsaas.install=${INSTALL}`)).to.deep.equal([]);
    expect(await host.swarm.secrets([`microsaas.install=${INSTALL}`])).to.deep.equal([]);
    expect(host.shutOut, 'nothing was on a lost node').to.deep.equal([]);
  });

  it('tells which instance has changed, and Swarm starts one that has ended again where it was', async () => {
    await host.startNew(desired);
    const [node] = await host.runsOn(1);
    if (!node) throw new TypeError('it runs nowhere');
    const stop = new AbortController();
    const told: Array<number | null> = [];
    const watching = host.engine.watch((id) => told.push(id), stop.signal);
    await eventually(() => expect(told).to.include(null));
    const [before] = await ids(node);
    await cluster().docker(node, 'kill', '--', before ?? '');
    await eventually(() => expect(told).to.include(1));
    stop.abort();
    await watching;
    await host.engine.awaitLogin(desired, signal);
    const [after] = await ids(node);
    expect(after).not.to.equal(before);
  });

  it('takes another program’s port for taken, be it a service’s or one that the swarm does not know', async () => {
    const http = desired.ports?.http;
    const publish = `mode=host,published=${http},target=80`;
    const [first] = cluster().nodes;
    if (!first) throw new TypeError('no node');
    const sleep = [images.odoo, 'sleep', '600'];
    const other = ['service', 'create', '--name', 'other', '--detach', '--mode', 'global'];
    const noPull = ['--no-resolve-image', '--publish', publish, '--entrypoint', '/usr/bin/env'];
    await cluster().docker(first, ...other, ...noPull, ...sleep);
    try {
      const error = await host.startNew(desired).catch((thrown) => thrown);
      expect(error).to.be.instanceOf(PortTakenError);
      const ports = { http: http ?? 0, longpolling: 1 };
      expect(await host.engine.occupiedPorts(ports)).to.deep.equal([http]);
    } finally {
      await cluster().docker(first, 'service', 'rm', 'other');
    }
    const taken = cluster().nodes.map((node) =>
      cluster().docker(
        node,
        ...['run', '--detach', '--publish', `${http}:80`, '--entrypoint', 'sleep'],
        ...['--', images.odoo, '600'],
      ),
    );
    const made = await Promise.all(taken);
    try {
      const error = await host.engine.start(desired, signal).catch((thrown) => thrown);
      expect(error).to.be.instanceOf(PortTakenError);
      expect(await containers({ ...desired, desiredState: 'stopped' })).to.equal('stopped');
    } finally {
      for (const [index, node] of cluster().nodes.entries())
        await cluster().docker(node, 'rm', '--force', '--', made[index] ?? '');
    }
    await host.engine.start(desired, signal);
    await host.engine.awaitLogin(desired, signal);
  });

  it('starts an instance of a node without power on another one, once its first copy is shut out', async () => {
    await host.startNew(desired);
    const [lost] = await host.runsOn(1);
    if (!lost) throw new TypeError('it runs nowhere');
    await cluster().losePower(lost);
    await eventually(async () => expect(await containers()).to.equal('partial'));
    expect((await host.engine.list()).get(1)).to.include({ running: false, up: false });
    await host.engine.start(desired, signal);
    expect(host.shutOut).to.deep.equal([1]);
    await host.engine.awaitLogin(desired, signal);
    const [now] = await nodesOf();
    expect(now).not.to.equal(lost.name);
    await cluster().regainPower(lost);
    await cluster().whole();
    await eventually(async () => expect(await nodesOf()).to.deep.equal([now]));
  });

  it('takes nothing for lost while the swarm has a new leader, which has yet to hear of its nodes', async () => {
    const [first] = cluster().nodes;
    if (!first) throw new TypeError('the cluster has no nodes');
    const name = await cluster().docker(
      first,
      ...['node', 'ls', '--format', '{{if eq .ManagerStatus "Leader"}}{{.Hostname}}{{end}}'],
    );
    const leader = cluster().node(name);
    const give = (availability: string) =>
      cluster().docker(leader, 'node', 'update', '--availability', availability, leader.name);
    // The instance is to be on another one.
    await give('drain');
    await host.startNew(desired);
    await give('active');
    await cluster().losePower(leader);
    try {
      const seen = new Set<string>();
      await eventually(async () => {
        seen.add(await containers());
        const lost = (await host.swarm.nodes()).filter(({ isReady }) => !isReady);
        expect(lost.map((node) => node.name)).to.deep.equal([leader.name]);
      });
      expect([...seen]).to.deep.equal(['running']);
    } finally {
      await cluster().regainPower(leader);
    }
  });

  describe('on a node that is cut off from the others', () => {
    let cut: SwarmNode;
    beforeEach(async () => {
      await host.startNew(desired);
      const [node] = await host.runsOn(1);
      if (!node) throw new TypeError('it runs nowhere');
      cut = node;
      await cluster().isolate(cut);
      await eventually(async () => expect(await containers()).to.equal('partial'));
    });
    afterEach(async () => {
      if (cut) await cluster().heal(cut);
    });
    /** Lets it be heard of again. */
    const heal = async () => {
      await cluster().heal(cut);
      await cluster().whole();
    };

    it('goes on, and is shut out before a second copy can write', async () => {
      expect(await nodesOf(), 'nobody has told it to stop').to.deep.equal([cut.name]);
      expect(host.shutOut, 'and Swarm has started no other').to.deep.equal([]);
      const { conf } = host.dirs.paths(1);
      const before = await readFile(conf, 'utf8');
      await host.engine.start(desired, signal);
      expect(host.shutOut).to.deep.equal([1]);
      expect(await readFile(conf, 'utf8'), 'with another password').not.to.equal(before);
      await host.engine.awaitLogin(desired, signal);
      expect(await nodesOf(), 'two run, and one can write').to.have.length(2);
      await heal();
      await eventually(async () => expect(await nodesOf()).not.to.include(cut.name));
      expect(await containers()).to.equal('running');
    });

    it('is started anew where it is back after a fence that was cut short', async () => {
      await host.dirs.renewDbPassword(desired.id);
      await heal();
      await host.engine.render(desired);
      expect(await containers(), 'it has the old password').to.equal('outdated');
      await host.engine.start(desired, signal);
      expect(host.shutOut, 'the renewed password is in force').to.deep.equal([desired.id]);
      await host.engine.awaitLogin(desired, signal);
      expect(await containers()).to.equal('running');
    });

    it('is stopped by shutting it out, and is said to be stopped', async () => {
      await host.engine.stop(desired, signal);
      expect(host.shutOut).to.deep.equal([1]);
      const stopped = { ...desired, desiredState: 'stopped' } as const;
      expect(await containers(stopped)).to.equal('stopped');
      expect((await host.engine.observe(desired, 'running')).files, 'of the old password').to.equal(
        'absent',
      );
      await heal();
      await eventually(async () => expect(await nodesOf()).to.deep.equal([]));
    });
  });
});
