import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { pino } from 'pino';
import { DOWNLOAD_PATH, Downloads } from '../../../src/http/downloads.ts';
import { ask, HOST, ServerSuite, signed } from './server-suite.ts';

const SNAPSHOT = 'ab'.repeat(32);

describe('a download', () => {
  let now: number;
  let server: Server;
  let downloads: Downloads;
  let logged: string;
  /** What an export holds; null: there is none any more. */
  let content: () => Readable | null;

  beforeEach(async () => {
    now = 0;
    logged = '';
    content = () => Readable.from(['the ', 'data']);
    downloads = new Downloads({
      open: async () => {
        const stream = content();
        return stream && { bytes: 8, content: stream };
      },
      log: pino(
        {},
        {
          write: (line: string) => {
            logged += line;
          },
        },
      ),
      now: () => now,
    });
    server = createServer((req, res) => void downloads.serve(req, res));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    server.close();
    server.closeAllConnections();
  });

  const port = () => (server.address() as AddressInfo).port;
  const get = (path: string, method = 'GET') => ask({ port: port(), path, method });
  const tokenOf = (path: string) => path.split('token=')[1] ?? '';

  it('is the whole export as a file, kept in no cache', async () => {
    const path = downloads.offer(7, SNAPSHOT);
    const answer = await get(path);
    expect(answer.text).to.equal('the data');
    expect(answer.headers).to.include({
      'content-type': 'application/zip',
      'content-length': '8',
      'content-disposition': 'attachment; filename="odoo-7-abababab.zip"',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
  });

  it('has a link of 256 random bits, which no log names', async () => {
    const paths = [downloads.offer(7, SNAPSHOT), downloads.offer(7, SNAPSHOT)];
    expect(paths[0]).to.match(/^\/\.well-known\/microsaas-download\?token=[\w-]{43}$/);
    expect(paths[0]).not.to.equal(paths[1]);
    for (const path of paths) await get(path);
    expect(logged).to.include("an instance's data were downloaded");
    for (const path of paths) expect(logged).not.to.include(tokenOf(path));
  });

  it('can be had once by a link, by one of two requests at once, and by no other method than GET', async () => {
    const path = downloads.offer(7, SNAPSHOT);
    for (const method of ['HEAD', 'POST', 'PUT'])
      expect((await get(path, method)).status, method).to.equal(405);
    const both = await Promise.all([get(path), get(path)]);
    expect(both.map(({ status }) => status)).to.have.members([200, 410]);
    const again = await get(path);
    expect(again.status).to.equal(410);
    expect(again.text).to.include('This link is not valid any more');
  });

  it('is over when its link was not used for five minutes', async () => {
    const path = downloads.offer(7, SNAPSHOT);
    now = 5 * 60_000;
    expect((await get(path)).status).to.equal(410);
  });

  it('is nothing by a guess, an empty token or none', async () => {
    downloads.offer(7, SNAPSHOT);
    const guesses = ['', '?token=', '?token=x', `?token=${'a'.repeat(43)}`, '?token=a&token=b'];
    for (const guess of guesses)
      expect((await get(`${DOWNLOAD_PATH}${guess}`)).status, guess).to.equal(410);
  });

  it('says so when its file is gone', async () => {
    content = () => null;
    expect((await get(downloads.offer(7, SNAPSHOT))).status).to.equal(410);
  });

  it('is one of two of an instance at most: a third keeps its link for later, and others go on', async () => {
    const held: Readable[] = [];
    content = () => {
      const stream = new Readable({ read() {} });
      held.push(stream);
      return stream;
    };
    const requests = [1, 2].map(() => {
      const sent = request({
        port: port(),
        path: downloads.offer(7, SNAPSHOT),
        agent: false,
      });
      sent.on('error', () => {});
      sent.end();
      return sent;
    });
    const answers = requests.map((sent) => once(sent, 'response'));
    while (held.length < 2) await new Promise(setImmediate);
    const third = downloads.offer(7, SNAPSHOT);
    expect((await get(third)).status).to.equal(503);
    content = () => Readable.from(['the data']);
    expect((await get(downloads.offer(8, SNAPSHOT))).status).to.equal(200);
    for (const stream of held) stream.push('the data');
    for (const stream of held) stream.push(null);
    for (const [res] of await Promise.all(answers))
      (await res.resume()) && (await once(res, 'end'));
    expect((await get(third)).status).to.equal(200);
  });

  it('that its browser gives up ends, and makes room', async () => {
    let isDestroyed = false;
    content = () =>
      new Readable({
        read() {},
        destroy: (_error, done) => {
          isDestroyed = true;
          done(null);
        },
      });
    const sent = request({ port: port(), path: downloads.offer(7, SNAPSHOT), agent: false });
    sent.on('error', () => {});
    sent.end();
    await once(server, 'request');
    sent.destroy();
    while (!isDestroyed) await new Promise(setImmediate);
    expect(isDestroyed).to.equal(true);
  });
});

describe('a link to a download', () => {
  const suite = new ServerSuite(HOST, { ...HOST, webhookOnly: true });
  const body = JSON.stringify({ instance: 5, snapshot: SNAPSHOT });
  let count = 0;
  const send = (text = body, index = 0) =>
    suite.postTo('/downloads', text, signed(text, `download_${count++}`), index);

  it('is made for who holds the secret, on both addresses, and is kept in no cache and no log', async () => {
    for (const index of [0, 1]) {
      const answer = await send(body, index);
      expect(answer.status).to.equal(200);
      expect(answer.headers['cache-control']).to.equal('no-store');
      const { url } = JSON.parse(answer.text);
      expect(url).to.match(/^https:\/\/5\.example\.com\/.*\?token=/);
      expect(JSON.stringify(suite.logged)).not.to.include(url.split('token=')[1]);
    }
  });

  it('is refused to the unsigned and the malformed, and there is none to what is not there', async () => {
    expect((await suite.postTo('/downloads', body, {})).status).to.equal(401);
    const malformed = ['{}', '{"instance":5}', '{"instance":5,"snapshot":"../../etc/passwd"}'];
    for (const text of malformed) expect((await send(text)).status, text).to.equal(400);
    expect((await send(JSON.stringify({ instance: 7, snapshot: SNAPSHOT }))).status).to.equal(404);
  });

  it('leads to the sidecar on the host, not from the network of the manager', async () => {
    const path = async () => {
      const { pathname, search } = new URL(JSON.parse((await send()).text).url);
      return pathname + search;
    };
    expect((await suite.get(await path(), 0)).text).to.equal('the data');
    expect((await suite.get(await path(), 1)).status).to.equal(404);
  });
});
