import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { expect } from 'chai';
import { helperLabels, removeStaleHelpers } from '../../src/docker/helpers.ts';
import { networkOf } from '../../src/docker/names.ts';
import { PortTakenError, RetryableError } from '../../src/errors.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { images } from '../../stack/images.ts';
import { run } from '../../stack/run.ts';
import { eventually } from '../e2e/support/eventually.ts';
import { anInstance } from '../support/samples.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { freePorts, type ThrowawayEngine, throwawayEngine } from '../support/throwaway-engine.ts';

const INSTALL = 'engtst';

describe('the engine on a real Docker', function () {
  this.timeout(180_000);
  const folder = temporaryFolder();
  const { signal } = new AbortController();
  let host: ThrowawayEngine;
  let desired: DesiredInstance;

  beforeEach(async () => {
    desired = await small(1);
  });
  afterEach(() => host.remove());

  const open = async (options: Parameters<typeof throwawayEngine>[2] = {}) => {
    host = await throwawayEngine(INSTALL, folder(), options);
  };
  const wished = (change: Partial<DesiredInstance>) => ({ ...desired, ...change });
  const containers = async (change: Partial<DesiredInstance> = {}) => {
    const one = wished(change);
    return (await host.engine.observe(one, one.desiredState)).containers;
  };
  const name = () => `ms-${INSTALL}-1-odoo`;
  const state = () =>
    host.docker(
      'container',
      'inspect',
      '--format',
      '{{.State.Status}} {{.State.ExitCode}}',
      name(),
    );

  it('stops gracefully and removes without Compose file, directory or template', async () => {
    await open();
    await host.startNew(desired);
    await rm(host.dirs.paths(1).directory, { recursive: true });
    const gone = wished({ templateCode: 'gone', desiredState: 'stopped' });
    expect((await host.engine.observe(gone, 'stopped')).data).to.equal('absent');
    await host.engine.stop(gone, signal);
    expect(await state(), 'it was asked to end').to.equal('exited 0');
    await host.engine.removeContainers(gone, signal);
    expect(await containers({ desiredState: 'removed' })).to.equal('none');
    await host.engine.purge(gone, signal);
  });

  it('unpauses a paused instance that should run, and stops one gracefully that should not', async () => {
    await open();
    await host.startNew(desired);
    await host.docker('pause', name());
    expect(await containers()).to.equal('paused');
    expect((await host.engine.list()).get(1)).to.include({ running: false, up: true });
    await host.engine.start(desired, signal);
    expect(await containers()).to.equal('running');
    await host.docker('pause', name());
    expect(await containers({ desiredState: 'stopped' })).to.equal('paused');
    await host.engine.stop(desired, signal);
    expect(await state()).to.equal('exited 0');
  });

  it('starts a stopped instance whose network was recreated', async () => {
    await open();
    await host.startNew(desired);
    await host.engine.stop(desired, signal);
    const network = networkOf(INSTALL, 1);
    await host.docker('network', 'rm', network);
    await host.docker('network', 'create', '--label', `microsaas.install=${INSTALL}`, network);
    await host.engine.start(desired, signal);
    await host.engine.awaitLogin(desired, signal);
    expect(await containers()).to.equal('running');
    expect((await host.engine.observe(desired, 'running')).data).to.equal('whole');
  });

  it('starts again what it has stopped: the same container, and Compose has nothing to add', async () => {
    await open();
    await host.startNew(desired);
    const started = () =>
      host.docker('container', 'inspect', '--format', '{{.Id}} {{.State.StartedAt}}', name());
    const [id, first] = (await started()).split(' ');
    await host.engine.stop(desired, signal);
    await host.engine.start(desired, signal);
    await host.engine.awaitLogin(desired, signal);
    const again = await started();
    expect(again.split(' ')[0]).to.equal(id);
    expect(again.split(' ')[1]).not.to.equal(first);
    const { compose } = host.dirs.paths(1);
    await host.docker('compose', '-p', `ms-${INSTALL}-1`, '-f', compose, 'up', '--detach');
    expect(await started(), 'as Compose would have it').to.equal(again);
  });

  it('says that another program has the port of a stopped instance', async () => {
    await open();
    await host.startNew(desired);
    await host.engine.stop(desired, signal);
    const other = createServer().listen(desired.ports?.http, '127.0.0.1');
    await once(other, 'listening');
    const error = await host.engine.start(desired, signal).catch((it) => it);
    other.close();
    expect(error).to.be.instanceOf(PortTakenError);
    await host.engine.start(desired, signal);
    await host.engine.awaitLogin(desired, signal);
  });

  it('recreates configuration, but never data that have disappeared', async () => {
    await open();
    await host.startNew(desired);
    const { conf, compose, directory, filestore, sessions } = host.dirs.paths(1);
    for (const path of [conf, compose, sessions]) await rm(path, { recursive: true });
    expect(await host.engine.observe(desired, 'running')).to.include({
      files: 'absent',
      data: 'whole',
    });
    await host.engine.render(desired);
    await host.engine.start(desired, signal);
    await rm(filestore, { recursive: true });
    expect((await host.engine.observe(desired, 'running')).data).to.equal('partial');
    await host.engine.render(desired);
    expect(await readdir(directory)).not.to.include('filestore');
    await host.engine.stop(desired, signal);
    const error = await host.engine.start(desired, signal).catch((it) => it);
    expect(error, 'Docker makes no empty folder either').to.be.instanceOf(RetryableError);
    await rm(directory, { recursive: true });
    const lost = await host.engine.render(desired).catch((it) => it);
    expect(lost).to.have.property('reason', 'FilesMissing');
    expect((await host.engine.observe(desired, 'running')).data).to.equal('absent');
  });

  it('detects by its probe an instance that hangs and one that has lost its files, and restarts the first', async () => {
    await open();
    await host.startNew(desired);
    const probe = async () => {
      const listed = (await host.engine.list()).get(1);
      return listed ? host.engine.probe(1, listed) : null;
    };
    expect(await probe()).to.equal('well');
    const hang = fetch(`http://127.0.0.1:${desired.ports?.http}/hang`).catch(() => {});
    await eventually(async () => expect(await probe()).to.equal('silent'), 30);
    expect(await containers(), 'Docker sees nothing').to.equal('running');
    await host.engine.restart(desired, signal);
    await host.engine.awaitLogin(desired, signal);
    await hang;
    expect(await probe()).to.equal('well');
    await rm(host.dirs.paths(1).filestore, { recursive: true });
    expect(await probe()).to.equal('emptied');
  });

  it('keeps the image of the instance’s database when the tag points to another one', async () => {
    const tag = `${INSTALL}-odoo:1`;
    await run('docker', ['tag', images.odoo, tag]);
    await open({ image: tag });
    await host.startNew(desired);
    const imageOf = (id: number) =>
      host.docker('container', 'inspect', '--format', '{{.Image}}', `ms-${INSTALL}-${id}-odoo`);
    const before = await imageOf(1);
    await host.docker('tag', images.postgres, tag);
    const again = wished({ restartCount: 1 });
    await host.engine.render(again);
    await host.engine.start(again, signal);
    expect(await imageOf(1)).to.equal(before);
    await host.engine.awaitLogin(again, signal);
    const pinned = { ...again, imageDigest: await host.engine.imageDigest(again) };
    await host.engine.removeContainers(pinned, signal);
    await rm(host.dirs.paths(1).compose);
    await host.engine.render(pinned);
    await host.engine.start(pinned, signal);
    expect(await imageOf(1), 'pinned, without files that name it').to.equal(before);
    const later = await small(2);
    await host.engine.render({ ...later, wasReady: false });
    expect(await host.dirs.imageId(2), 'a new one takes what the tag is now').not.to.equal(before);
    await host.docker('rmi', tag);
  });

  it('reports a crash loop, with the tail of its log in the sidecar’s log only', async () => {
    await open({ program: 'import sys; print("\\x1b[31mout of order"); sys.exit(3)' });
    const error = await host.startNew(desired).catch((it) => it);
    expect(error).to.have.property('reason', 'CrashLoop');
    expect(error.message).not.to.include('out of order');
    expect(error.cause.message).to.include('\uFFFD[31mout of order');
  });

  it('removes a helper that was created and never started, and no younger one', async () => {
    await open();
    const [install, helper] = helperLabels(INSTALL, 'image-user');
    const labels = [String(install), String(helper)];
    await host.docker('container', 'create', '--name', `${INSTALL}-helper`, ...labels, images.odoo);
    const at = (minutes: number) => new Date(Date.now() + minutes * 60_000);
    expect(await removeStaleHelpers(host.api, INSTALL, at(0))).to.deep.equal([]);
    expect(await removeStaleHelpers(host.api, INSTALL, at(2))).to.deep.equal([`${INSTALL}-helper`]);
    expect(await removeStaleHelpers(host.api, INSTALL, at(2))).to.deep.equal([]);
  });

  it('stops many concurrently without a warning from Node', async () => {
    await open();
    const many: DesiredInstance[] = [];
    for (let id = 1; id <= 12; id++) many.push(await small(id));
    for (const one of many) await host.startNew(one);
    const warnings: Error[] = [];
    const warned = (warning: Error) => warnings.push(warning);
    process.on('warning', warned);
    await Promise.all(many.map((one) => host.engine.stop(one, new AbortController().signal)));
    process.off('warning', warned);
    expect(warnings).to.deep.equal([]);
    const listed = [...(await host.engine.list()).values()];
    expect(listed.every(({ up }) => !up)).to.equal(true);
  });
});

async function small(id: number): Promise<DesiredInstance> {
  return anInstance({ id, memoryMb: 64, cpus: 0.5, ports: await freePorts() });
}
