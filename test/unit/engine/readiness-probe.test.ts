import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { isHealthy, isServing, showsLogin } from '../../../src/engine/readiness-probe.ts';

describe('the readiness probe', () => {
  let server: Server;
  let origin: string;
  let status: number;
  let location: string | null;
  beforeEach(async () => {
    location = null;
    server = createServer((request, response) => {
      const isLocalized = request.url === '/en/web/login';
      if (location !== null && !isLocalized) response.setHeader('Location', location);
      response.writeHead(isLocalized ? 200 : status).end();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => server.close());

  for (const [answer, serving, healthy, login] of [
    [200, true, true, true],
    [303, true, true, false],
    [404, true, true, false],
    [500, true, false, false],
    [503, true, false, false],
  ] as const)
    it(`interprets ${answer}`, async () => {
      status = answer;
      expect([
        await isServing(origin),
        await isHealthy(origin),
        await showsLogin(origin),
      ]).to.deep.equal([serving, healthy, login]);
    });

  it('follows a website of several languages to the login page in the visitor’s', async () => {
    status = 303;
    for (const to of ['/en/web/login', `${origin}/en/web/login`]) {
      location = to;
      expect(await showsLogin(origin), to).to.equal(true);
    }
  });

  it('follows no other redirection: what an Odoo says is its tenant’s', async () => {
    status = 303;
    const others = ['/web/database/selector', '/fr/web/login', 'http://127.0.0.2/en/web/login'];
    for (const to of [...others, '//evil.example/en/web/login', 'http://', '/en/../web/login']) {
      location = to;
      expect(await showsLogin(origin), to).to.equal(false);
    }
  });

  it('finds an Odoo without an answer neither up nor well', async () => {
    server.close();
    expect([await isServing(origin), await isHealthy(origin)]).to.deep.equal([false, false]);
  });
});
