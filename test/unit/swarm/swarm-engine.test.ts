import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Images } from '../../../src/docker/images.ts';
import { PortTakenError } from '../../../src/errors.ts';
import { DirectoryMarks } from '../../../src/files/directory-mark.ts';
import { InstanceDirs } from '../../../src/files/instance-dir.ts';
import { loadTemplates } from '../../../src/files/templates.ts';
import { Repositories } from '../../../src/repositories/repositories.ts';
import { stopped, wasShutOut } from '../../../src/swarm/service-spec.ts';
import { SwarmEngine } from '../../../src/swarm/swarm-engine.ts';
import { FakeDocker } from '../../fakes/docker.ts';
import { FakeSwarm } from '../../fakes/swarm.ts';
import { anInstance } from '../../support/samples.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { INSTALL, ODOO, ODOO_ID } from '../engine/fake-host.ts';
import { TEMPLATES } from '../files/instances.ts';
import { aNode } from './samples.ts';

const NAME = `ms-${INSTALL}-7`;

describe('the engine of a swarm', () => {
  const folder = temporaryFolder();
  const { signal } = new AbortController();
  const desired = anInstance({ id: 7, ports: { http: 20_000, longpolling: 25_000 } });
  let swarm: FakeSwarm;
  let dirs: InstanceDirs;
  let engine: SwarmEngine;
  /** The passwords that its role was given, with what the swarm had been asked by then. */
  let shutOut: Array<{ readonly password: string; readonly changes: number }>;
  let failing: Error | null;

  beforeEach(async () => {
    const docker = new FakeDocker();
    const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    docker.images.set(ODOO, ODOO_ID);
    docker.programs.set('id', () => `uid=${me.uid}(odoo) gid=${me.gid}(odoo)`);
    swarm = new FakeSwarm();
    swarm.hosts = [aNode({ id: 'n1' }), aNode({ id: 'n2', address: '127.0.0.2' })];
    shutOut = [];
    failing = null;
    const dataDir = join(folder(), 'data');
    dirs = new InstanceDirs(dataDir);
    engine = new SwarmEngine({
      ...{ install: INSTALL, api: docker.api, docker: docker.cli, dirs, swarm: swarm.api },
      managerCli: docker.cli,
      shutOut: async (_, password) => {
        shutOut.push({ password: await password(), changes: swarm.changes.length });
        if (failing) throw failing;
      },
      images: new Images(INSTALL, docker.api, docker.cli),
      templates: await loadTemplates(TEMPLATES),
      marks: new DirectoryMarks(dataDir, INSTALL),
      repositories: new Repositories({ dataDir }),
      sharedServer: { hosts: ['192.0.2.9'], port: 5432, caFile: '/srv/ca.crt' },
      publishAddress: '127.0.0.1',
      urlPattern: 'https://{id}.example.com',
      answerTimeoutMs: 1_500,
    });
    await engine.render({ ...desired, wasReady: false });
  });

  const lose = (id: string) => {
    swarm.hosts = swarm.hosts.map((node) => (node.id === id ? { ...node, isReady: false } : node));
  };
  const startNew = () => engine.start({ ...desired, wasReady: false }, signal);
  const containers = async () => (await engine.observe(desired, 'running')).containers;
  const conf = () => readFile(dirs.paths(7).conf, 'utf8');

  it('gives the container its odoo.conf as a secret, and keeps no other', async () => {
    await startNew();
    expect([...swarm.kept.values()].map(({ content }) => content)).to.deep.equal([await conf()]);
    const again = { ...desired, memoryMb: 4096, cpus: 4 };
    await engine.render(again);
    await engine.start(again, signal);
    expect([...swarm.kept.values()].map(({ content }) => content)).to.deep.equal([await conf()]);
    await engine.removeContainers(desired, signal);
    expect([swarm.all.size, swarm.kept.size]).to.deep.equal([0, 0]);
  });

  it('starts what is stopped where it was, and shuts nobody out', async () => {
    await startNew();
    await engine.stop(desired, signal);
    await engine.start(desired, signal);
    expect(swarm.changes).to.deep.equal([
      ...[`put ${NAME} n1 1`, `put ${NAME} n1 0`, `put ${NAME} n1 1`],
    ]);
    expect(shutOut).to.deep.equal([]);
  });

  it('stops first what is to be made from other files, as after a pressed Restart: its ports are taken until it has ended', async () => {
    await startNew();
    const again = { ...desired, restartCount: desired.restartCount + 1 };
    await engine.render(again);
    expect((await engine.observe(again, 'running')).containers).to.equal('outdated');
    await engine.start(again, signal);
    expect(swarm.changes.slice(1)).to.deep.equal([`put ${NAME} n1 0`, `put ${NAME} n1 1`]);
    expect((await engine.observe(again, 'running')).containers).to.equal('running');
    expect(shutOut).to.deep.equal([]);
  });

  it('gives an instance another node once its role has another password, and never before', async () => {
    await startNew();
    lose('n1');
    expect(await containers()).to.equal('partial');
    await engine.start(desired, signal);
    expect(swarm.changes).to.deep.equal([
      ...[`put ${NAME} n1 1`, `put ${NAME} n1 0`, `put ${NAME} n2 1`],
    ]);
    expect(
      shutOut.map(({ changes }) => changes),
      'before anything else',
    ).to.deep.equal([1]);
    const [{ password = '' } = {}] = shutOut;
    expect(await conf()).to.include(`db_password = ${password}`);
    expect([...swarm.kept.values()].map(({ content }) => content)).to.deep.equal([await conf()]);
    expect(await containers()).to.equal('running');
  });

  it('starts no second copy while the database cannot shut the first one out', async () => {
    await startNew();
    lose('n1');
    failing = new Error('the database is away');
    const error = await engine.start(desired, signal).catch((thrown) => thrown);
    expect(error).to.equal(failing);
    expect(swarm.changes).to.deep.equal([`put ${NAME} n1 1`]);
    expect(await containers(), 'it is tried again').to.equal('partial');
    const seen = await engine.observe(desired, 'running');
    expect(seen.files, 'and the files are written again before').to.equal('absent');
  });

  it('starts anew what comes back after a fence that was cut short, with the password that is in force then', async () => {
    await startNew();
    lose('n1');
    failing = new Error('the database is away');
    await engine.start(desired, signal).catch((thrown) => expect(thrown).to.equal(failing));
    failing = null;
    shutOut.length = 0;
    swarm.hosts = [aNode({ id: 'n1' }), aNode({ id: 'n2' })];
    await engine.render(desired);
    expect(await containers()).to.equal('outdated');
    await engine.start(desired, signal);
    expect(swarm.changes.slice(1), 'its ports are free first').to.deep.equal([
      ...[`put ${NAME} n1 0`, `put ${NAME} n1 1`],
    ]);
    expect(await containers()).to.equal('running');
    expect(shutOut).to.have.length(1);
    expect(await conf(), 'what was renewed has become the role’s').to.include(
      `db_password = ${shutOut[0]?.password}`,
    );
    expect([...swarm.kept.values()].map(({ content }) => content)).to.deep.equal([await conf()]);
  });

  it('shuts out what it is to stop or remove on a node that nobody hears of', async () => {
    for (const end of ['stop', 'removeContainers'] as const) {
      await engine.render(desired);
      await startNew();
      lose('n1');
      lose('n2');
      shutOut.length = 0;
      const before = swarm.changes.length;
      await engine[end](desired, signal);
      expect(
        shutOut.map(({ changes }) => changes),
        end,
      ).to.deep.equal([before]);
      swarm.hosts = [aNode({ id: 'n1' }), aNode({ id: 'n2' })];
      swarm.running.length = 0;
    }
  });

  it('is stopped only once it was shut out where its node was lost before it ended', async () => {
    await startNew();
    const [task] = swarm.running;
    const [service] = swarm.all.values();
    if (!task || !service) throw new TypeError('it runs nowhere');
    // The sidecar was killed once it had said so to the swarm.
    await swarm.put(stopped(service.spec));
    swarm.running[0] = task;
    lose('n1');
    expect(await containers()).to.equal('partial');
    shutOut.length = 0;
    await engine.stop(desired, signal);
    expect(shutOut).to.have.length(1);
    expect(await containers()).to.equal('stopped');
    // The next one is none that was shut out.
    await engine.start(desired, signal);
    const [now] = swarm.all.values();
    expect(now && wasShutOut(now.spec)).to.equal(false);
  });

  it('shuts out what may run still where its service is gone, before another is made', async () => {
    await startNew();
    const [service] = swarm.all.values();
    for (const wasReady of [true, false]) {
      await swarm.remove(service?.id ?? '');
      // With its swarm; one that was never ready is known by its secret.
      if (wasReady) swarm.kept.clear();
      shutOut.length = 0;
      const before = swarm.changes.length;
      await engine.start({ ...desired, wasReady }, signal);
      expect(shutOut.map(({ changes }) => changes)).to.deep.equal([before]);
      expect(await conf()).to.include(`db_password = ${shutOut[0]?.password}`);
      expect(swarm.changes.slice(before)).to.deep.equal([`put ${NAME} n1 1`]);
    }
  });

  it('shuts nobody out for one that is made', async () => {
    await startNew();
    expect(shutOut).to.deep.equal([]);
  });

  it('stops it even where its directory is gone', async () => {
    await startNew();
    lose('n1');
    await rm(dirs.paths(7).directory, { recursive: true });
    await engine.purge(desired, signal);
    expect(shutOut).to.have.length(1);
    expect(swarm.all.size).to.equal(0);
  });

  it('moves it from a drained node without shutting anybody out: it has been seen to end there', async () => {
    await startNew();
    swarm.hosts = swarm.hosts.map((it) => (it.id === 'n1' ? { ...it, isActive: false } : it));
    expect(await containers()).to.equal('partial');
    await engine.start(desired, signal);
    expect(swarm.changes.at(-1)).to.equal(`put ${NAME} n2 1`);
    expect(shutOut).to.deep.equal([]);
  });

  for (const [failure, reason] of [
    [
      'starting container failed: driver failed: Bind for 127.0.0.1:20000 failed: port is already allocated',
      'PortTaken',
    ],
    ['No such image: sha256:aaaa', 'StartFailed'],
  ] as const)
    it(`says ${reason} for "${failure.slice(0, 30)}…", and leaves nothing that Swarm tries again`, async () => {
      swarm.failure = failure;
      const error = await startNew().catch((thrown) => thrown);
      expect(error).to.have.property('reason', reason);
      expect(error instanceof PortTakenError).to.equal(reason === 'PortTaken');
      expect(swarm.changes.at(-1)).to.equal(`put ${NAME} n1 0`);
      expect(await containers()).to.equal('stopped');
    });

  it('starts no second copy while the first is ending still', async () => {
    await startNew();
    const [task] = swarm.running;
    if (!task) throw new TypeError('it runs nowhere');
    await engine.stop(desired, signal);
    swarm.running[0] = { ...task, desired: 'shutdown' };
    const starting = engine.start(desired, signal);
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(swarm.changes.at(-1)).to.equal(`put ${NAME} n1 0`);
    swarm.running[0] = { ...task, state: 'shutdown' };
    await starting;
    expect(swarm.changes.at(-1)).to.equal(`put ${NAME} n1 1`);
  });

  it('takes no earlier stops for a crash loop', async function () {
    this.timeout(20_000);
    for (let round = 0; round < 4; round++) {
      await startNew();
      await engine.stop(desired, signal);
    }
    await engine.start(desired, signal);
    const silent = await engine.awaitLogin(desired, signal).catch((thrown) => thrown);
    expect(silent).to.have.property('reason', 'NotAnswering');
  });

  it('refuses an instance with a Postgres of its own before anything is made for it', async () => {
    const own = anInstance({ id: 8, templateCode: 'odoo-own-db', wasReady: false });
    const error = await engine.render(own).catch((thrown) => thrown);
    expect(error).to.have.property('reason', 'TemplateBreaksPolicy');
    expect(error.message).to.match(/more than one service/);
  });

  it('takes no service for an instance that has its labels and another name', async () => {
    await startNew();
    const [service] = swarm.all.values();
    if (!service) throw new TypeError('it has no service');
    const known = [await engine.list(), await engine.places()];
    const Labels = { ...service.spec.Labels, 'microsaas.instance': 'none' };
    await swarm.put({ ...service.spec, Name: 'copied', EndpointSpec: { Ports: [] } });
    await swarm.put({ ...service.spec, Name: 'changed', Labels });
    expect([await engine.list(), await engine.places()]).to.deep.equal(known);
  });

  it('says where the door reaches it: without workers at one port for both', async () => {
    await startNew();
    const ports = { http: 20_000, longpolling: 20_000 };
    expect(await engine.places()).to.deep.equal(new Map([[7, { address: '127.0.0.1', ports }]]));
    expect((await engine.list()).get(7)).to.include({ running: true, up: true, httpPort: 20_000 });
    lose('n1');
    expect((await engine.list()).get(7)).to.include({ running: false, up: false });
  });
});
