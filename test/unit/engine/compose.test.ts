import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  CommandError,
  PortTakenError,
  RetryableError,
  TerminalError,
} from '../../../src/errors.ts';
import type { DesiredInstance } from '../../../src/instance/types.ts';
import { anInstance, aRepository, aSubscription, identityOf } from '../../support/samples.ts';
import { fakeHost, INSTALL, ODOO, ODOO_ID } from './fake-host.ts';

const PURGED = { subscription: aSubscription({ dataRemovedAt: new Date() }) };

const errorOf = (promise: Promise<unknown>) => promise.then(() => null).catch((thrown) => thrown);

describe('the Compose engine, on a Docker in memory', () => {
  const suite = fakeHost();
  const host = () => suite.host();
  const network = `ms-${INSTALL}-net-1`;

  describe('starts', () => {
    it('the containers that the file names, on the network of their number', async () => {
      await host().run(host().wish({ id: 501 }));
      expect([...host().docker.networks.keys()]).to.deep.equal([`ms-${INSTALL}-net-2`]);
      const odoo = host().container(501);
      expect(odoo.hostPorts).to.deep.equal(Object.values(host().ports));
      expect(odoo.image, 'the image by its id: a tag may move').to.equal(ODOO_ID);
    });

    it('only the database server where that is asked for', async () => {
      const desired = host().wish({ templateCode: 'odoo-own-db' });
      await host().make(desired);
      await host().engine.startDatabase(desired, new AbortController().signal);
      const names = [...host().docker.containers.values()].map(({ name }) => name);
      expect(names).to.deep.equal([`ms-${INSTALL}-7-db`]);
    });

    it('what runs already, without touching it', async () => {
      await host().run(host().wish());
      const { id } = host().container(7);
      await host().start(host().wish());
      expect(host().container(7).id).to.equal(id);
    });

    it('what somebody has paused', async () => {
      await host().run(host().wish());
      host().container(7).state = 'paused';
      await host().start(host().wish());
      expect(host().container(7).state).to.equal('running');
    });

    it('new containers in place of those whose network was made again; the data stay', async () => {
      await host().run(host().wish());
      await host().stop(host().wish());
      const { id } = host().container(7);
      host().docker.networks.delete(network);
      await host().start(host().wish());
      expect(host().container(7)).to.include({ state: 'running' });
      expect(host().container(7).id).not.to.equal(id);
      expect(await host().observe(host().wish())).to.include({ data: 'whole' });
    });

    it('nothing on a port that another program has, and says so', async () => {
      host().docker.boundPorts.add(host().ports.http);
      const error = await errorOf(host().run(host().wish()));
      expect(error)
        .to.be.instanceOf(PortTakenError)
        .with.property('cause')
        .instanceOf(CommandError);
    });

    it('nothing where Docker refuses, as something that may pass', async () => {
      await host().make(host().wish());
      await rm(host().dirs.paths(7).compose);
      await writeFile(host().dirs.paths(7).compose, 'services: {}');
      const error = await errorOf(host().start(host().wish()));
      expect(error).to.be.instanceOf(RetryableError).with.property('reason', 'StartFailed');
      expect(error.message, 'Docker’s words are for the log').not.to.include('network');
    });

    describe('what was stopped and is as its files would have it', () => {
      const composed = () => host().docker.ran('compose', 'up').length;
      /** Stopped; then something happens; then it is started. @returns how often Compose was asked */
      const stopAndStart = async (
        desired: DesiredInstance,
        meanwhile: () => unknown = () => {},
      ) => {
        await host().run(desired);
        await host().stop(desired);
        await meanwhile();
        const before = composed();
        await host().start(desired);
        for (const it of host().docker.containers.values()) expect(it.state).to.equal('running');
        return composed() - before;
      };

      for (const templateCode of ['odoo', 'odoo-own-db'])
        it(`without Compose, which takes longer (${templateCode})`, async () => {
          expect(await stopAndStart(host().wish({ templateCode }))).to.equal(0);
        });

      it('its own Postgres first', async () => {
        await stopAndStart(host().wish({ templateCode: 'odoo-own-db' }));
        const names = ['db', 'odoo'].map((service) => `ms-${INSTALL}-7-${service}`);
        expect(host().docker.startedAgain).to.deep.equal(names);
      });

      it('its own Postgres alone where that is asked for', async () => {
        const desired = host().wish({ templateCode: 'odoo-own-db' });
        await host().run(desired);
        await host().stop(desired);
        await host().engine.startDatabase(desired, new AbortController().signal);
        expect(host().docker.startedAgain).to.deep.equal([`ms-${INSTALL}-7-db`]);
        expect(host().container(7).state).to.equal('exited');
      });

      const changed: Record<string, () => unknown> = {
        'with other files': () => host().engine.render(host().wish({ restartCount: 1 })),
        'with a file that was written again, though for the same settings': async () => {
          const later = new Date(Date.now() + 2_000);
          await utimes(host().dirs.paths(7).compose, later, later);
        },
        'with a container that has never been up': () => {
          host().container(7).state = 'created';
        },
        'with a container of older marks': () => {
          const { id, labels } = host().container(7);
          const older = { ...labels, 'microsaas.identity': identityOf(7, 1) };
          host().docker.containers.set(id, { ...host().container(7), labels: older });
        },
        'on a network that was made again': () => {
          host().docker.networks.delete(network);
        },
      };
      for (const [what, meanwhile] of Object.entries(changed))
        it(`but by Compose ${what}`, async () => {
          expect(await stopAndStart(host().wish(), meanwhile)).to.be.above(0);
        });

      it('but by Compose where a container is missing', async () => {
        const desired = host().wish({ templateCode: 'odoo-own-db' });
        expect(
          await stopAndStart(desired, () =>
            host().docker.containers.delete(host().container(7, 'db').id),
          ),
        ).to.equal(1);
      });

      it('not on a port that another program has taken meanwhile, and says so', async () => {
        const taken = stopAndStart(host().wish(), () =>
          host().docker.boundPorts.add(host().ports.http),
        );
        expect(await errorOf(taken)).to.be.instanceOf(PortTakenError);
      });

      it('not where Docker goes away, and says that it is away', async () => {
        host().docker.startAgain = () => {
          throw new RetryableError('DockerUnavailable', 'no answer');
        };
        const error = await errorOf(stopAndStart(host().wish()));
        expect(error).to.have.property('reason', 'DockerUnavailable');
      });
    });

    it('again what hangs: stopped by its own word, and up', async () => {
      await host().run(host().wish());
      await host().engine.restart(host().wish(), new AbortController().signal);
      expect(host().container(7)).to.include({ state: 'running', ended: 'graceful' });
    });
  });

  describe('renders', () => {
    const composeOf = (desired: DesiredInstance) =>
      readFile(host().dirs.paths(desired.id).compose, 'utf8');

    it('the image that an instance has run with, whatever the tag is by now, and says so', async () => {
      await host().run(host().wish());
      host().docker.images.set('kept', ODOO_ID).set(ODOO, 'sha256:newer');
      await host().engine.render(host().wish({ restartCount: 1 }));
      expect(await composeOf(host().wish())).to.include(ODOO_ID);
      expect(host().keptImages).to.deep.equal([[7, ODOO_ID, 'sha256:newer']]);
    });

    it('the image of today for an instance that has never run', async () => {
      await host().make(host().wish());
      host().docker.images.set('kept', ODOO_ID).set(ODOO, 'sha256:newer');
      await host().engine.render(host().wish({ wasReady: false }));
      expect(await composeOf(host().wish())).to.include('sha256:newer');
      expect(host().keptImages).to.deep.equal([]);
    });

    it('nothing where the image that it has run with is gone: another would be an update that nobody asked for', async () => {
      await host().run(host().wish());
      const before = await composeOf(host().wish());
      host().docker.images.set(ODOO, 'sha256:newer');
      const error = await errorOf(host().engine.render(host().wish({ restartCount: 1 })));
      expect(error).to.be.instanceOf(TerminalError).with.property('reason', 'ImageGone');
      expect(await composeOf(host().wish())).to.equal(before);
    });

    it('the image that it is pinned to, also where its files are gone', async () => {
      await host().run(host().wish());
      await rm(host().dirs.paths(7).compose);
      host().docker.images.set('kept', ODOO_ID).set(ODOO, 'sha256:newer');
      await host().engine.render(host().wish({ imageDigest: ODOO_ID }));
      expect(await composeOf(host().wish())).to.include(ODOO_ID);
    });

    it('the pinned image by its digest in a registry, from where it comes back when it is gone', async () => {
      const pin = `odoo@sha256:${'d'.repeat(64)}`;
      host().docker.images.set(pin, ODOO_ID);
      await host().run(host().wish());
      expect(await host().engine.imageDigest(host().wish())).to.equal(pin);
      host().docker.images.delete(pin);
      host().docker.images.set(ODOO, 'sha256:newer');
      host().docker.registry.set(pin, ODOO_ID);
      await host().engine.render(host().wish({ imageDigest: pin }));
      expect(await composeOf(host().wish())).to.include(ODOO_ID);
    });

    it('as stale what names another image than the instance is pinned to, and lets what is up be when that is gone', async () => {
      await host().run(host().wish());
      expect(await host().engine.imageDigest(host().wish()), 'built here').to.equal(ODOO_ID);
      const newer = `sha256:${'e'.repeat(64)}`;
      host().docker.images.set('newer', newer);
      const files = async (imageDigest: string) =>
        (await host().observe(host().wish({ imageDigest }))).files;
      expect(await files(ODOO_ID)).to.equal('current');
      expect(await files(newer)).to.equal('stale');
      expect(await files(`sha256:${'f'.repeat(64)}`), 'up').to.equal('current');
      await host().stop(host().wish());
      expect(await files(`sha256:${'f'.repeat(64)}`), 'stopped').to.equal('stale');
    });

    it('no new secrets for an instance that has run', async () => {
      await host().make(host().wish());
      const before = await host().dirs.secrets(7);
      await host().engine.render(host().wish({ restartCount: 1 }));
      expect(await host().dirs.secrets(7)).to.deep.equal(before);
      await rm(host().dirs.paths(7).secrets, { recursive: true });
      const error = await errorOf(host().engine.render(host().wish()));
      expect(error).to.be.instanceOf(TerminalError).with.property('reason', 'FilesMissing');
    });

    it('nothing into another’s directory', async () => {
      await host().make(host().wish());
      const before = await composeOf(host().wish());
      const other = host().wish({ identity: identityOf(7, 1), restartCount: 5 });
      expect(await errorOf(host().engine.render(other))).to.have.property('reason', 'ForeignData');
      expect(await composeOf(other)).to.equal(before);
    });
  });

  describe('stops and removes', () => {
    for (const templateCode of ['odoo', 'odoo-own-db'])
      it(`what is up, and has nothing to do the second time (${templateCode})`, async () => {
        const desired = host().wish({ templateCode });
        await host().run(desired);
        for (let time = 0; time < 2; time++) {
          await host().stop(desired);
          for (const it of host().docker.containers.values())
            expect(it).to.include({ state: 'exited', ended: 'graceful' });
        }
        for (let time = 0; time < 2; time++) {
          await host().removeContainers(desired);
          expect(host().docker.containers.size).to.equal(0);
        }
        expect(await host().observe(desired)).to.include({ files: 'current', data: 'whole' });
      });

    it('what is paused, by a signal that it hears', async () => {
      await host().run(host().wish());
      host().container(7).state = 'paused';
      await host().stop(host().wish());
      expect(host().container(7)).to.include({ state: 'exited', ended: 'graceful' });
    });

    it('what is up, without waiting for it', async () => {
      await host().run(host().wish());
      await host().removeContainers(host().wish());
      expect(host().docker.containers.size).to.equal(0);
    });

    it('nobody else’s containers', async () => {
      await host().run(host().wish());
      const desired = host().wish({ id: 8, ports: { http: 2, longpolling: 3 } });
      await host().run(desired);
      await host().stop(desired);
      await host().removeContainers(desired);
      expect(host().container(7).state).to.equal('running');
    });
  });

  describe('purges', () => {
    it('all that an instance has, and the network once nobody is on it, as often as it is asked', async () => {
      await host().run(host().wish());
      for (let time = 0; time < 2; time++) {
        await host().purge(host().wish(PURGED));
        expect(host().docker.containers.size).to.equal(0);
        expect(existsSync(host().dirs.paths(7).directory)).to.equal(false);
        expect(host().docker.networks.size).to.equal(0);
      }
    });

    it('nothing of the others, whose network stays though they are all stopped', async () => {
      const other = host().wish({ id: 8, ports: { http: 2, longpolling: 3 } });
      await host().run(host().wish());
      await host().run(other);
      await host().stop(other);
      await host().purge(host().wish(PURGED));
      expect([...host().docker.networks.keys()]).to.deep.equal([network]);
      expect(await host().observe(other)).to.include({ containers: 'stopped', data: 'whole' });
    });

    it('the network of its own number, not another’s', async () => {
      const far = host().wish({ id: 501, ports: { http: 2, longpolling: 3 } });
      await host().run(host().wish());
      await host().run(far);
      await host().purge(far);
      expect([...host().docker.networks.keys()]).to.deep.equal([network]);
    });

    it('no files while the containers cannot be removed', async () => {
      await host().run(host().wish());
      host().docker.isAway = true;
      expect(await errorOf(host().purge(host().wish(PURGED)))).to.be.instanceOf(RetryableError);
      expect(existsSync(host().dirs.paths(7).directory)).to.equal(true);
    });
  });

  describe('renews the list of Apps', () => {
    const commit = 'a'.repeat(40);
    const withModule = () => host().wish({ repositories: [aRepository({ commit })] });
    const renew = (signal = new AbortController().signal) =>
      host().engine.updateAppsList(withModule(), signal);
    beforeEach(async () => {
      const folder = join(host().dataDir, 'checkouts', commit, 'library');
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, '__manifest__.py'), '{}');
      await host().make(host().wish());
      host().docker.programs.set('odoo', () => '');
    });

    it('in a container of its own, once', async () => {
      expect(await host().observe(withModule())).to.include({ appsList: 'stale' });
      expect(await renew()).to.equal(true);
      const { command, input } = host().docker.ran('run').at(-1) ?? {};
      expect(input).to.include('update_list()');
      expect(command).to.include('--network=none').and.include('--database=ms_k3x9ab_7');
      expect(await host().observe(withModule())).to.include({ appsList: 'current' });
    });

    it('not again where the customer’s database prevents it, and tells the seller', async () => {
      host().docker.programs.set('odoo', ({ command }) => {
        throw new CommandError(command, 1, 'a trigger says no');
      });
      expect(await renew()).to.equal(false);
      expect(await host().observe(withModule())).to.include({ appsList: 'current' });
    });

    it('later where the sidecar stops meanwhile', async () => {
      const stop = new AbortController();
      host().docker.programs.set('odoo', ({ command }) => {
        stop.abort(new Error('SIGTERM'));
        throw new CommandError(command, null, 'terminated');
      });
      expect(await errorOf(renew(stop.signal))).to.have.property('message', 'SIGTERM');
      expect(await host().observe(withModule())).to.include({ appsList: 'stale' });
    });
  });

  it('fills in the port and the number where an address has them', () => {
    const { engine } = host();
    const unnamed = { id: 7, subdomain: '', domains: [] };
    expect(engine.url({ ...unnamed, ports: { http: 20_001, longpolling: 1 } })).to.equal(
      'https://7.example.com:20001',
    );
    expect(engine.url({ ...unnamed, ports: null })).to.equal('https://7.example.com:');
  });

  it('marks a directory of before there were marks, and no other', async () => {
    await host().make(host().wish());
    await host().engine.adopt(host().wish({ identity: identityOf(7, 1) }));
    expect(await host().engine.marked(7)).to.include({ identity: identityOf(7) });
    await rm(host().dirs.paths(7).mark);
    expect(await host().engine.marked(7)).to.equal(null);
    await host().engine.adopt(anInstance({ identity: identityOf(7, 1) }));
    expect(await host().engine.marked(7)).to.include({ identity: identityOf(7, 1) });
  });
});
