import { once } from 'node:events';
import { rm, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import type { Container } from '../../../src/docker/docker-api.ts';
import { LABELS } from '../../../src/docker/labels.ts';
import { INSIDE } from '../../../src/door/caddy-config.ts';
import { CaddyDoor, type CaddyDoorOptions } from '../../../src/door/door.ts';
import { DoorError } from '../../../src/errors.ts';
import type { DoorRoute } from '../../../src/interfaces.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const route = (id: number, subdomain: string): DoorRoute => ({
  ...{ id, subdomain, formerSubdomains: [], domains: [] },
  ports: { http: 20_000 + id, longpolling: 25_000 + id },
});
const ROUTES = [route(1, 'acme'), route(2, 'shop')];

describe('the door', () => {
  const folder = temporaryFolder();
  let admin: Server;
  /** What Caddy has, every load of it, and what it answers to one. */
  let config: unknown;
  let loads: unknown[];
  let refusal: string;
  /** Docker's containers, and how many it was asked to make. */
  let containers: Container[];
  let runs: number;

  beforeEach(() => {
    [config, loads, refusal, containers, runs] = [{ admin: {} }, [], '', [], 0];
    admin = createServer((req, res) => {
      if (req.method === 'GET') return void res.end(JSON.stringify(config));
      let body = '';
      req.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      req.on('end', () => {
        loads.push(JSON.parse(body));
        if (refusal) return void res.writeHead(400).end(JSON.stringify({ error: refusal }));
        config = JSON.parse(body);
        res.end();
      });
    });
  });
  afterEach(() => {
    admin.close();
    admin.closeAllConnections();
  });

  const open = (over: Partial<CaddyDoorOptions['settings']> = {}) =>
    new CaddyDoor({
      ...{ install: 'zabcde', dataDir: folder(), startMs: 300 },
      api: {
        containers: async () => [...containers],
        remove: async (id) => {
          containers = containers.filter((it) => it.id !== id);
        },
        events: async () => {},
      },
      docker: async (command) => {
        expect(containers, 'a container of this name exists').to.deep.equal([]);
        runs += 1;
        const prefix = `--label=${LABELS.digest}=`;
        const digest = command.find((it) => it.startsWith(prefix))?.slice(prefix.length) ?? '';
        const labels = { [LABELS.part]: 'door', [LABELS.digest]: digest };
        if (admin.listening) await new Promise((resolve) => admin.close(resolve));
        admin.listen(join(folder(), 'door', 'run', basename(INSIDE.admin)));
        await once(admin, 'listening');
        containers = [
          { id: `c${runs}`, name: 'ms-zabcde-door', state: 'running', labels },
        ] as never;
        return '';
      },
      settings: {
        ...{
          image: 'caddy:2',
          domain: 'example.com',
          manager: '',
          managerPort: 8069,
          https: false,
        },
        ...{ address: '127.0.0.1', httpPort: 80, httpsPort: 443, publishAddress: '127.0.0.1' },
        ...{ certificateFile: '', keyFile: '' },
        acme: { directory: 'https://acme.invalid/directory', email: '', rootFile: '' },
        ...over,
      },
    });

  it('loads a configuration only where it differs from what is loaded', async () => {
    const door = open();
    await door.ensure(ROUTES);
    await door.ensure([...ROUTES].reverse());
    expect(loads).to.have.length(1);
    await door.ensure([...ROUTES, route(3, 'new')]);
    expect(loads).to.have.length(2);
    config = null;
    await door.ensure(ROUTES);
    expect(loads, 'its configuration was lost').to.have.length(3);
    expect(runs, 'one container').to.equal(1);
  });

  it('makes one container for calls at the same time, and has the routes of the last', async () => {
    const door = open();
    const last = [route(9, 'last')];
    await Promise.all([door.ensure(ROUTES), door.ensure(ROUTES), door.ensure(last)]);
    expect(runs).to.equal(1);
    expect(JSON.stringify(config)).to.include('last.example.com').and.not.include('acme.example');
  });

  it('makes the container again for another image', async () => {
    await open().ensure(ROUTES);
    const found = containers[0]?.id;
    await open({ image: 'caddy:2.12' }).ensure(ROUTES);
    expect(containers.map(({ id }) => id))
      .to.have.length(1)
      .and.not.include(found);
  });

  it('makes the container again when it runs and its admin socket does not answer', async () => {
    const door = open();
    await door.ensure(ROUTES);
    await rm(join(folder(), 'door', 'run', basename(INSIDE.admin)));
    config = { admin: {} };
    await door.ensure(ROUTES);
    expect(runs).to.equal(2);
    expect(JSON.stringify(config)).to.include('acme.example.com');
  });

  it('makes it again at the first look also while nobody says which routes it has', async () => {
    const door = open();
    await door.ensure(ROUTES);
    await rm(join(folder(), 'door', 'run', basename(INSIDE.admin)));
    await door.ensureRunning();
    expect(runs).to.equal(2);
    await door.ensureRunning();
    expect(runs, 'and leaves it alone where it answers').to.equal(2);
  });

  it('says what Caddy says of a configuration that it refuses, and goes on after it', async () => {
    const door = open();
    refusal = 'listen tcp 127.0.0.1:80: bind: address already in use';
    const error = await door.ensure(ROUTES).then(
      () => null,
      (thrown: Error) => thrown,
    );
    expect(error).to.be.instanceOf(DoorError);
    expect(error?.message).to.include(refusal);
    refusal = '';
    await door.ensure(ROUTES);
    expect(JSON.stringify(config)).to.include('acme.example.com');
  });

  it('keeps its directories from everybody else', async () => {
    await open().ensure(ROUTES);
    for (const path of ['door', 'door/run', 'door/data'])
      expect((await stat(join(folder(), path))).mode & 0o777, path).to.equal(0o700);
  });
});
