import { createServer, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { DockerApi } from '../../../src/docker/docker-api.ts';
import { RetryableError, unavailableService } from '../../../src/errors.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const EVENT = `${JSON.stringify({ Actor: { Attributes: { 'microsaas.instance': '7' } } })}\n`;

describe('DockerApi', () => {
  const folder = temporaryFolder();
  let server: Server;
  let api: DockerApi;
  let daemon: (response: ServerResponse) => void;
  let asked: string[];

  beforeEach(async () => {
    const socket = join(folder(), 'docker.sock');
    asked = [];
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      daemon(response);
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    api = new DockerApi(socket);
  });

  afterEach(() => server.close());

  /** One event comes; then `end` is called, and the daemon does what `after` says. */
  async function watch(signal: AbortSignal, end: (response: ServerResponse) => void) {
    const seen: string[] = [];
    let open: ServerResponse;
    daemon = (response) => {
      open = response;
      response.write(EVENT);
    };
    await api.events(
      'microsaas.install=x',
      () => {},
      (labels) => {
        seen.push(String(labels['microsaas.instance']));
        end(open);
      },
      signal,
    );
    return seen;
  }

  it('ends without an error when its signal aborts', async () => {
    const stop = new AbortController();
    expect(await watch(stop.signal, () => stop.abort())).to.deep.equal(['7']);
  });

  it('throws DockerUnavailable when the stream is interrupted', async () => {
    const error = await watch(new AbortController().signal, (response) =>
      response.socket?.destroy(),
    ).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(RetryableError).with.property('reason', 'DockerUnavailable');
  });

  for (const line of ['no JSON', '{}', '{"Actor":null}', '{"Actor":{"Attributes":{"a":1}}}', ''])
    it(`skips an invalid event: ${JSON.stringify(line)}`, async () => {
      const seen: string[] = [];
      daemon = (response) => response.end(`${line}\n${EVENT}`);
      const happened = (labels: Readonly<Record<string, string>>) =>
        seen.push(String(labels['microsaas.instance']));
      await api.events('microsaas.install=x', () => {}, happened, new AbortController().signal);
      expect(seen).to.deep.equal(['7']);
    });

  it('does not take a refusal for a stream', async () => {
    daemon = (response) => response.writeHead(500).end('{"message":"no"}\n');
    let isOpen = false;
    const opened = () => {
      isOpen = true;
    };
    const error = await api
      .events('microsaas.install=x', opened, () => {}, new AbortController().signal)
      .catch((thrown: unknown) => thrown);
    expect(error).to.have.property('reason', 'DockerFailed');
    expect(isOpen).to.equal(false);
  });

  for (const [status, reason, away] of [
    [400, 'DockerRefused', null],
    [404, 'DockerRefused', null],
    [409, 'DockerRefused', null],
    [500, 'DockerFailed', null],
    [503, 'DockerFailed', null],
  ] as const)
    it(`does not throw DockerUnavailable for status ${status}`, async () => {
      daemon = (response) => response.writeHead(status).end('{"message":"why"}');
      const error = await api.containers([]).catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(RetryableError).with.property('reason', reason);
      expect((error as Error & { cause: Error }).cause.message).to.include('why');
      expect(unavailableService(error)).to.equal(away);
    });

  it('throws DockerUnavailable without an answer', async () => {
    daemon = (response) => response.socket?.destroy();
    const error = await api.ping().catch((thrown: unknown) => thrown);
    expect(unavailableService(error)).to.equal('Docker');
  });

  it('says what memory a container uses, without what the kernel would give back', async () => {
    const { signal } = new AbortController();
    const answers = (status: number, body: unknown) => {
      daemon = (response) => {
        response.statusCode = status;
        response.end(JSON.stringify(body));
      };
      return api.memory('c1', signal);
    };
    const stats = { total_inactive_file: 30, inactive_file: 20 };
    expect(await answers(200, { memory_stats: { usage: 100, stats } })).to.equal(70);
    const { inactive_file } = stats;
    expect(await answers(200, { memory_stats: { usage: 100, stats: { inactive_file } } })).to.equal(
      80,
    );
    expect(await answers(200, { memory_stats: {} }), 'stopped').to.equal(null);
    expect(await answers(404, {}), 'gone').to.equal(null);
    expect(asked[0]).to.equal('GET /containers/c1/stats?stream=false&one-shot=true');
  });

  it('lists the subnets of all networks, and the pools that the daemon was given', async () => {
    const networks = [
      { IPAM: { Config: [{ Subnet: '172.17.0.0/16' }] } },
      { IPAM: { Config: [] } },
      { IPAM: { Config: null } },
    ];
    let pools: unknown = null;
    daemon = (response) =>
      response.end(
        JSON.stringify(asked.at(-1)?.endsWith('/info') ? { DefaultAddressPools: pools } : networks),
      );
    expect(await api.addresses()).to.deep.equal({ subnets: ['172.17.0.0/16'], pools: null });
    pools = [{ Base: '10.10.0.0/16', Size: 24 }];
    const expected = [{ base: '10.10.0.0/16', size: 24 }];
    expect(await api.addresses()).to.have.deep.property('pools', expected);
  });

  it('starts by id what is there', async () => {
    const statuses = [204, 304, 404];
    daemon = (response) => response.writeHead(statuses.shift() ?? 500).end();
    const { signal } = new AbortController();
    for (let i = 0; i < 2; i++) await api.start('abc', signal);
    const error = await api.start('abc', signal).catch((thrown: unknown) => thrown);
    expect(error).to.have.property('reason', 'DockerRefused');
    expect([...new Set(asked)]).to.deep.equal(['POST /containers/abc/start']);
  });

  it('stops, pauses, unpauses and removes by id, and accepts what is done already', async () => {
    const statuses = [204, 304, 404, 204, 404, 409, 500, 204, 409, 500, 204, 404, 409];
    daemon = (response) => response.writeHead(statuses.shift() ?? 500).end();
    for (let i = 0; i < 3; i++) await api.stop('abc', new AbortController().signal);
    for (let i = 0; i < 4; i++) await api.pause('abc');
    for (let i = 0; i < 3; i++) await api.unpause('abc');
    for (let i = 0; i < 3; i++) await api.remove('abc');
    expect([...new Set(asked)]).to.deep.equal([
      'POST /containers/abc/stop',
      'POST /containers/abc/pause',
      'POST /containers/abc/unpause',
      'DELETE /containers/abc?force=1',
    ]);
  });
});
