import { once } from 'node:events';
import { request } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { HOST, ServerSuite, signed } from './server-suite.ts';

const MEGABYTE = 1024 * 1024;
setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** Bytes in buffers that somebody still holds. */
function keptBytes(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

describe('the webhook', () => {
  const suite = new ServerSuite(HOST);
  const invoices = '{"model":"account.move","ids":[4,5]}';

  it('answers 202 and passes the keys on', async () => {
    expect(await suite.post(invoices, signed(invoices))).to.include({ status: 202, text: '' });
    const instances = '{"model":"odoo.docker.instance","ids":[7],"more":"ignored"}';
    await suite.post(instances, signed(instances, 'msg_2'));
    expect(suite.keys).to.deep.equal(['invoice:4', 'invoice:5', 'instance:7']);
  });

  it('acts once on a message id, however often it is sent', async () => {
    const headers = signed(invoices);
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => suite.post(invoices, headers)),
    );
    expect(new Set(answers.map(({ status }) => status))).to.deep.equal(new Set([202]));
    expect(suite.keys).to.deep.equal(['invoice:4', 'invoice:5']);
  });

  it('refuses unsigned, forged and stale messages with 401, and logs it once', async () => {
    const stale = new Date(Date.now() - 10 * 60_000);
    const cases = [{}, { ...signed('{}') }, signed(invoices, 'msg_1', stale)];
    for (const headers of cases) {
      const answer = await suite.post(invoices, headers);
      expect(answer.status).to.equal(401);
      expect(answer.headers['content-type']).to.contain('application/problem+json');
      expect(JSON.parse(answer.text)).to.include({ title: 'Unauthorized', status: 401 });
    }
    expect(suite.keys).to.deep.equal([]);
    expect(suite.logged).to.have.length(1);
    expect(suite.logged[0]).to.include({ source: '127.0.0.1', reason: 'forged or stale' });
  });

  it('refuses genuine but malformed messages with 400, each time', async () => {
    const bodies = [
      '',
      '{"model":',
      'null',
      '[]',
      '{"model":"res.users","ids":[1]}',
      '{"model":"account.move","ids":["1"]}',
      '{"model":"account.move","ids":[-1]}',
      '{"model":"account.move","ids":[1.5]}',
      '{"model":"account.move"}',
    ];
    for (const body of bodies) {
      for (const _time of [1, 2]) {
        expect((await suite.post(body, signed(body))).status, body).to.equal(400);
      }
    }
    expect(suite.keys).to.deep.equal([]);
    expect(suite.logged).to.have.length(1);
  });

  it('reads the body as bytes, whatever its content type', async () => {
    const body = ' {"ids" : [4], "model":"account.move"}\n';
    const headers = { ...signed(body), 'content-type': 'text/plain; charset=latin1' };
    expect((await suite.post(body, headers)).status).to.equal(202);
  });

  it('refuses 10 MB with 413, declared or not', async () => {
    const large = Buffer.alloc(10 * MEGABYTE, 0x20);
    const declared = await suite.post(large, signed(invoices));
    const chunked = await suite.post(large, {
      ...signed(invoices),
      'transfer-encoding': 'chunked',
    });
    expect([declared.status, chunked.status]).to.deep.equal([413, 413]);
    expect([suite.keys, suite.logged]).to.deep.equal([[], []]);
  });

  it('buffers nothing of a body that is too large', async () => {
    const piece = Buffer.alloc(2 * MEGABYTE, 0x20);
    const req = request({
      port: suite.port(),
      path: '/webhooks/odoo',
      method: 'POST',
      agent: false,
    });
    const answered = once(req, 'response');
    const before = keptBytes();
    const most = [];
    for (let sent = 0; sent < 5; sent++) {
      await new Promise((resolve) => req.write(piece, resolve));
      most.push(keptBytes() - before);
    }
    req.end();
    const [res] = await answered;
    expect(res.resume().statusCode).to.equal(413);
    expect(Math.max(...most)).to.be.below(4 * MEGABYTE);
  });

  it('refuses a compressed body', async () => {
    const headers = { ...signed(invoices), 'content-encoding': 'gzip' };
    expect((await suite.post(invoices, headers)).status).to.equal(415);
  });
});
