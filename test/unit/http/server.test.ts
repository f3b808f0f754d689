import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { ConfigError } from '../../../src/errors.ts';
import { listen } from '../../../src/http/server.ts';
import { ask, HOST, ServerSuite, signed } from './server-suite.ts';

/** The ConfigError that a promise ends with. */
async function errorOf(promise: Promise<unknown>): Promise<ConfigError> {
  const error = await promise.catch((thrown: unknown) => thrown);
  expect(error).to.be.instanceOf(ConfigError);
  return error as ConfigError;
}

describe('the HTTP server', () => {
  const suite = new ServerSuite(HOST);

  it('serves health, readiness with its causes, and metrics', async () => {
    expect(await suite.get('/healthz')).to.include({ status: 200, text: '{"status":"ok"}' });
    expect((await suite.get('/readyz')).status).to.equal(200);
    suite.parts.docker = 'no answer on the socket';
    const away = await suite.get('/readyz');
    expect([away.status, JSON.parse(away.text)]).to.deep.equal([503, suite.parts]);
    suite.instances = '2 in error, 14 running';
    const told = JSON.parse((await suite.get('/readyz')).text);
    expect(told).to.deep.equal({ ...suite.parts, instances: '2 in error, 14 running' });
    const metrics = await suite.get('/metrics');
    expect(metrics).to.include({ status: 200, text: 'microsaas_up 1\n' });
    expect(metrics.headers['content-type']).to.match(/^text\/plain; version=0\.0\.4/);
    expect(metrics.headers).not.to.have.property('x-powered-by');
  });

  it('answers 404 elsewhere and 405 to other methods', async () => {
    const statuses = [];
    for (const [method, path] of [
      ['GET', '/'],
      ['POST', '/webhooks/odoo/x'],
      ['GET', '/webhooks/odoo'],
      ['POST', '/metrics'],
    ]) {
      const { status, headers } = await ask({ port: suite.port(), path, method });
      expect(headers['content-type']).to.contain('application/problem+json');
      statuses.push([status, headers.allow]);
    }
    expect(statuses).to.deep.equal([
      [404, undefined],
      [404, undefined],
      [405, 'POST'],
      [405, 'GET, HEAD'],
    ]);
  });

  it('listens on all addresses or on none, and names the one that failed', async () => {
    const taken = { ...HOST, port: suite.port() };
    const brief = await listen([HOST], suite.options());
    const free = { ...HOST, port: brief.addresses[0]?.port ?? 0 };
    await brief.close();
    const error = await errorOf(listen([free, taken], suite.options()));
    expect(error.message).to.contain(`cannot listen on 127.0.0.1 port ${taken.port}`);
    const [refused] = await once(connect(free.port, '127.0.0.1'), 'error');
    expect(refused.code).to.equal('ECONNREFUSED');
  });

  it('refuses an invalid allowed network', async () => {
    for (const allowFrom of ['', '10.0.0.0', '10.0.0.0/33', 'example.com/8']) {
      const error = await errorOf(listen([{ ...HOST, allowFrom }], suite.options()));
      expect(error.message).to.contain('expected address/bits');
    }
  });

  it('answers 500 without the cause when a handler fails, and logs it', async () => {
    suite.ready = () => Promise.reject(new Error('inner workings'));
    const answer = await suite.get('/readyz');
    expect(answer.status).to.equal(500);
    expect(answer.text).not.to.contain('inner workings');
    expect(JSON.stringify(suite.logged)).to.contain('inner workings');
  });

  it('closes without waiting for idle connections', async () => {
    const silent = connect(suite.port(), '127.0.0.1');
    await once(silent, 'connect');
    await Promise.all([suite.server?.close(), once(silent, 'close')]);
  });
});

describe('the HTTP server on a gateway address', () => {
  const gateway = { ...HOST, webhookOnly: true, allowFrom: '127.0.0.0/31' };
  const suite = new ServerSuite(HOST, gateway);

  it('serves the webhook only, with the same memory of ids', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      expect((await suite.get(path, 1)).status, path).to.equal(404);
    }
    const invoices = '{"model":"account.move","ids":[4,5]}';
    const headers = signed(invoices);
    expect((await suite.post(invoices, headers, 1)).status).to.equal(202);
    expect((await suite.post(invoices, headers, 0)).status).to.equal(202);
    expect(suite.keys).to.have.length(2);
  });

  it('closes connections from outside the network before it reads', async () => {
    const stranger = connect({ host: '127.0.0.1', port: suite.port(1), localAddress: '127.0.0.2' });
    const [error] = await Promise.race([
      once(stranger, 'close').then(() => [null]),
      once(stranger, 'error'),
    ]);
    if (error) expect(error.code).to.equal('ECONNRESET');
    expect(stranger.bytesRead).to.equal(0);
  });
});
