import { createServer, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { DockerApi } from '../../../src/engine/docker-api.ts';
import { RetryableError } from '../../../src/errors.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const EVENT = `${JSON.stringify({ Actor: { Attributes: { 'microsaas.instance': '7' } } })}\n`;

describe('DockerApi.events', () => {
  const folder = temporaryFolder();
  let server: Server;
  let api: DockerApi;
  let daemon: (response: ServerResponse) => void;

  beforeEach(async () => {
    const socket = join(folder(), 'docker.sock');
    server = createServer((_request, response) => daemon(response));
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

  it('ends in peace when its own side gives up', async () => {
    const stop = new AbortController();
    expect(await watch(stop.signal, () => stop.abort())).to.deep.equal(['7']);
  });

  it('says that Docker is away when the stream is cut', async () => {
    const error = await watch(new AbortController().signal, (response) =>
      response.socket?.destroy(),
    ).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(RetryableError).with.property('reason', 'DockerUnavailable');
  });
});
