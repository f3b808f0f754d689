import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { isHealthy, isServing, showsLogin } from '../../../src/engine/readiness-probe.ts';

describe('the readiness probe', () => {
  let server: Server;
  let origin: string;
  let status: number;
  beforeEach(async () => {
    server = createServer((_, response) => response.writeHead(status).end());
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

  it('finds an Odoo without an answer neither up nor well', async () => {
    server.close();
    expect([await isServing(origin), await isHealthy(origin)]).to.deep.equal([false, false]);
  });
});
