import { expect } from 'chai';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { eventually } from '../e2e/support/eventually.ts';
import { anInstance } from '../support/samples.ts';
import { theCluster } from './support/the-cluster.ts';
import { type ThrowawaySwarm, throwawaySwarm } from './support/throwaway-swarm.ts';

const INSTALL = 'swmtst';

describe('the engine on a real swarm', function () {
  this.timeout(180_000);
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
  const nodesOf = async () => (await host.runsOn(1)).map(({ name }) => name);

  it('starts, lists, stops, starts again, restarts and removes an instance', async () => {
    const began = performance.now();
    await host.startNew(desired);
    console.log('first start', Math.round(performance.now() - began));
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
    await host.engine.restart(again, signal);
    await host.engine.awaitLogin(again, signal);
    expect(await containers(again)).to.equal('running');
    expect(await nodesOf(), 'where it was').to.deep.equal([node?.name]);
    await host.engine.purge(again, signal);
    expect(await nodesOf()).to.deep.equal([]);
    expect(await host.swarm.services(`microsaas.install=${INSTALL}`)).to.deep.equal([]);
    expect(await host.swarm.secrets([`microsaas.install=${INSTALL}`])).to.deep.equal([]);
    expect(host.shutOut, 'nothing was on a lost node').to.deep.equal([]);
  });

  it('starts an instance of a node without power on another one, once its first copy is shut out', async () => {
    await host.startNew(desired);
    const [lost] = await host.runsOn(1);
    if (!lost) throw new TypeError('it runs nowhere');
    const began = performance.now();
    await cluster().losePower(lost);
    await eventually(async () => expect(await containers()).to.equal('partial'), 90);
    console.log('seen', Math.round(performance.now() - began));
    await host.engine.start(desired, signal);
    expect(host.shutOut).to.deep.equal([1]);
    await host.engine.awaitLogin(desired, signal);
    console.log('back', Math.round(performance.now() - began));
    const [now] = await nodesOf();
    expect(now).not.to.equal(lost.name);
    await cluster().regainPower(lost);
    await eventually(async () => expect(await nodesOf()).to.deep.equal([now]));
  });
});
