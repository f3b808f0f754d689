import { rm } from 'node:fs/promises';
import { expect } from 'chai';
import { aRepository, aSubscription, identityOf } from '../../support/samples.ts';
import { fakeHost } from './fake-host.ts';

const SUSPENDED = { subscription: aSubscription({ suspendedAt: new Date() }) };
const PURGED = { subscription: aSubscription({ dataRemovedAt: new Date() }) };

const errorOf = (promise: Promise<unknown>) => promise.then(() => null).catch((thrown) => thrown);

describe('what the Compose engine sees', () => {
  const suite = fakeHost();
  const host = () => suite.host();

  describe('observes', () => {
    it('nothing of an instance that was never made', async () => {
      expect(await host().observe(host().wish({ wasReady: false }))).to.deep.equal({
        directory: 'nobody',
        containerOwner: 'nobody',
        checkouts: 'current',
        files: 'absent',
        data: 'absent',
        containers: 'none',
        answering: false,
        appsList: 'current',
        limits: 'current',
      });
    });

    it('an instance that runs and answers', async () => {
      await host().run(host().wish());
      expect(await host().observe(host().wish())).to.deep.equal({
        directory: 'own',
        containerOwner: 'own',
        checkouts: 'current',
        files: 'current',
        data: 'whole',
        containers: 'running',
        answering: true,
        appsList: 'current',
        limits: 'current',
      });
    });

    it('that it does not answer, with an error as little as with none', async () => {
      await host().run(host().wish());
      suite.answer = (_, response) => void response.writeHead(500).end();
      expect(await host().observe(host().wish())).to.include({ answering: false });
      suite.answer = (request) => void request.socket.destroy();
      expect(await host().observe(host().wish())).to.include({ answering: false });
    });

    for (const [state, containers] of [
      ['exited', 'stopped'],
      ['created', 'stopped'],
      ['paused', 'paused'],
      ['restarting', 'running'],
    ] as const)
      it(`a container that Docker calls ${state}: ${containers}`, async () => {
        await host().run(host().wish());
        host().container(7).state = state;
        expect(await host().observe(host().wish())).to.include({ containers });
      });

    it('that one of two containers is down', async () => {
      const desired = host().wish({ templateCode: 'odoo-own-db' });
      await host().run(desired);
      expect(await host().observe(desired)).to.include({ containers: 'running' });
      host().container(7, 'db').state = 'exited';
      expect(await host().observe(desired)).to.include({ containers: 'partial' });
    });

    for (const [what, change, files, containers] of [
      ['a restart was asked for', { restartCount: 1 }, 'stale', 'outdated'],
      ['it has other ports', { ports: { http: 2, longpolling: 3 } }, 'stale', 'outdated'],
      ['its plan has other limits', { memoryMb: 2048, cpus: 3 }, 'current', 'running'],
      ['it has no ports', { ports: null }, 'absent', 'outdated'],
      ['its number is another’s by now', { identity: identityOf(7, 1) }, 'current', 'running'],
    ] as const)
      it(`what ${what} makes of its files and containers`, async () => {
        await host().run(host().wish());
        const seen = await host().observe(host().wish(change));
        expect(seen).to.include({ files, containers });
      });

    it('other limits of its plan once it is down: the next start takes them up', async () => {
      await host().run(host().wish());
      await host().stop(host().wish());
      expect(await host().observe(host().wish({ cpus: 3 }))).to.include({ files: 'stale' });
    });

    it('whose its directory and its containers are', async () => {
      await host().run(host().wish());
      const other = await host().observe(host().wish({ identity: identityOf(7, 1) }));
      expect(other).to.include({ directory: 'foreign', containerOwner: 'foreign' });
      await rm(host().dirs.paths(7).mark);
      expect(await host().observe(host().wish())).to.include({ directory: 'unmarked' });
    });

    it('a repository whose checkout is not on disk, before anything is rendered with it', async () => {
      await host().make(host().wish());
      const repositories = [aRepository({ commit: 'a'.repeat(40) })];
      const seen = await host().observe(host().wish({ repositories }));
      expect(seen).to.include({ checkouts: 'missing', files: 'absent', appsList: 'stale' });
    });

    it('that files which it made once are gone', async () => {
      await host().run(host().wish());
      await rm(host().dirs.paths(7).filestore, { recursive: true });
      expect(await host().observe(host().wish())).to.include({ data: 'partial' });
    });

    for (const [what, over] of [
      ['stopped', { desiredState: 'stopped' }],
      ['suspended', SUSPENDED],
      ['removed', { desiredState: 'removed' }],
    ] as const)
      it(`of what is ${what} the containers alone, whatever has become of its template`, async () => {
        await host().run(host().wish());
        const gone = host().wish({ ...over, templateCode: 'gone', ports: null });
        expect(await host().observe(gone)).to.include({ containers: 'outdated', files: 'current' });
        await host().stop(gone);
        expect(await host().observe(gone)).to.include({ containers: 'stopped', answering: false });
      });

    it('of what is purged whether its directory is gone', async () => {
      const purged = host().wish(PURGED);
      await host().make(purged);
      expect(await host().observe(purged)).to.include({ files: 'current' });
      await host().purge(purged);
      expect(await host().observe(purged)).to.include({ files: 'absent', containers: 'none' });
    });

    it('nothing while Docker is away, instead of an instance without containers', async () => {
      await host().run(host().wish());
      host().docker.isAway = true;
      expect(await errorOf(host().observe(host().wish()))).to.have.property(
        'reason',
        'DockerUnavailable',
      );
    });
  });

  describe('lists', () => {
    it('each instance that has containers, and what they are together', async () => {
      const { ports } = host();
      const other = { http: 2, longpolling: 3 };
      await host().run(host().wish());
      await host().run(host().wish({ id: 8, templateCode: 'odoo-own-db', ports: other }));
      const listed = await host().engine.list();
      expect([...listed.keys()]).to.have.members([7, 8]);
      expect(listed.get(7)).to.include({ running: true, up: true, hasOwnDatabase: false });
      expect(listed.get(8)).to.include({ running: true, up: true, hasOwnDatabase: true });
      const [odoo, db] = [host().container(8, 'odoo'), host().container(8, 'db')];
      expect(listed.get(8)?.containers).to.have.members([odoo.id, db.id]);
      expect(listed.get(7)?.httpPort).to.be.oneOf(Object.values(ports));
      expect(listed.get(8)?.httpPort).to.be.oneOf(Object.values(other));
    });

    for (const [odoo, db, running, up] of [
      ['running', 'running', true, true],
      ['running', 'exited', false, true],
      ['exited', 'running', false, true],
      ['paused', 'running', false, true],
      ['paused', 'paused', false, true],
      ['restarting', 'running', false, true],
      ['exited', 'exited', false, false],
      ['created', 'dead', false, false],
    ] as const)
      it(`an Odoo ${odoo} with a Postgres ${db}: ${running ? 'running' : up ? 'up' : 'down'}`, async () => {
        const desired = host().wish({ templateCode: 'odoo-own-db' });
        await host().run(desired);
        host().container(7, 'odoo').state = odoo;
        host().container(7, 'db').state = db;
        expect((await host().engine.list()).get(7)).to.include({ running, up });
      });

    it('numbers of which a directory or a container is here, each once', async () => {
      await host().run(host().wish());
      await host().make(host().wish({ id: 9 }));
      await host().run(host().wish({ id: 8, ports: { http: 2, longpolling: 3 } }));
      await rm(host().dirs.paths(8).directory, { recursive: true });
      expect(await host().engine.numbers()).to.have.members([7, 8, 9]);
    });
  });

  describe('looks from outside at', () => {
    const health = async () => {
      const listed = (await host().engine.list()).get(7);
      return listed && host().engine.probe(7, listed);
    };

    it('one that answers, one that does not, and one whose files are gone', async () => {
      await host().run(host().wish());
      expect(await health()).to.equal('well');
      suite.answer = (_, response) => void response.writeHead(500).end();
      expect(await health()).to.equal('silent');
      await rm(host().dirs.paths(7).filestore, { recursive: true });
      expect(await health(), 'whether it answers or not').to.equal('emptied');
    });

    it('one whose disk cannot be read, and does not take its files for gone', async () => {
      await host().run(host().wish());
      host().dirs.dataState = async () => {
        throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
      };
      expect(await health()).to.equal('well');
    });
  });

  it('finds which of two ports somebody has bound', async () => {
    const { http } = host().ports;
    expect(await host().engine.occupiedPorts({ http, longpolling: 0 })).to.deep.equal([http]);
    expect(await host().engine.occupiedPorts({ http: 0, longpolling: 0 })).to.deep.equal([]);
  });
});
