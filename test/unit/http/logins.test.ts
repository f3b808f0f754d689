import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { pino } from 'pino';
import { type Login, Logins } from '../../../src/http/logins.ts';
import { ask, HOST, ServerSuite, signed } from './server-suite.ts';

const ANA: Login = { instance: 7, login: 'ana@example.com', endsAt: null };

describe('a login by a link', () => {
  let now: number;
  let server: Server;
  let logins: Logins;
  let logged: string;
  /** Who was let in, and what was said of their browser. */
  let asked: Array<readonly [Login, Readonly<Record<string, string>>]>;
  /** What comes of it. */
  let session: () => { sid: string; isSecure: boolean } | null;
  /** The instance at the address that is asked. */
  let instance: number | null;

  beforeEach(async () => {
    now = 0;
    logged = '';
    asked = [];
    instance = 7;
    session = () => ({ sid: 'the-session', isSecure: true });
    const write = (line: string) => {
      logged += line;
    };
    const log = pino({}, { write });
    logins = new Logins({
      logIn: async (login, browser) => {
        asked.push([login, browser]);
        return session();
      },
      log,
      now: () => now,
    });
    server = createServer((req, res) => void logins.serve(req, res, instance));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    server.close();
    server.closeAllConnections();
  });

  const get = (path: string, method = 'GET', headers: Record<string, string> = {}) =>
    ask({ port: (server.address() as AddressInfo).port, path, method, headers });

  it('leads to their Odoo with its session, which no script reads, kept in no cache and told to no site', async () => {
    const answer = await get(logins.offer(ANA));
    expect(answer.status).to.equal(303);
    expect(answer.headers).to.deep.include({
      location: '/odoo',
      'set-cookie': ['session_id=the-session; HttpOnly; Path=/; Secure'],
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      // A page of their Odoo gets no hold of the manager's, which has opened it.
      'cross-origin-opener-policy': 'same-origin',
    });
    session = () => ({ sid: 'another', isSecure: false });
    expect((await get(logins.offer(ANA))).headers['set-cookie']).to.deep.equal([
      'session_id=another; HttpOnly; Path=/',
    ]);
  });

  it('tells Odoo of the browser what the door says, and nothing else of its request', async () => {
    await get(logins.offer(ANA), 'GET', {
      'user-agent': 'Firefox',
      'x-forwarded-for': '203.0.113.9',
      'x-forwarded-host': 'acme.example.com',
      'x-forwarded-proto': 'https',
      cookie: 'session_id=an-older-one',
      'x-odoo-database': 'other',
    });
    expect(asked).to.deep.equal([
      [
        ANA,
        {
          'user-agent': 'Firefox',
          'x-forwarded-for': '203.0.113.9',
          'x-forwarded-host': 'acme.example.com',
          'x-forwarded-proto': 'https',
        },
      ],
    ]);
  });

  it('has a link of 256 random bits, which no log names, and neither does one name the session', async () => {
    const path = logins.offer(ANA);
    expect(path).to.match(/^\/\.well-known\/microsaas-login\?token=[\w-]{43}$/);
    await get(path);
    expect(logged).to.include('a link to log in was used').and.include('"instance":7');
    expect(logged).not.to.include(path.split('token=')[1]);
    expect(logged).not.to.include('the-session');
  });

  it('works once, for one of two requests at once, and by no other method than GET', async () => {
    const path = logins.offer(ANA);
    for (const method of ['HEAD', 'POST', 'PUT'])
      expect((await get(path, method)).status, method).to.equal(405);
    const both = await Promise.all([get(path), get(path)]);
    expect(both.map(({ status }) => status)).to.have.members([303, 410]);
    const again = await get(path);
    expect(again.status).to.equal(410);
    expect(again.text).to.include('This link is not valid any more');
    // Support comes here too, and has another button on another page.
    expect(again.text).to.include('the page that you came from').and.not.to.include('Open');
    expect(again.headers['set-cookie']).to.equal(undefined);
    expect(asked).to.have.length(1);
  });

  it('is over when its link was not used for a minute', async () => {
    const path = logins.offer(ANA);
    now = 60_000;
    expect((await get(path)).status).to.equal(410);
    expect(asked).to.deep.equal([]);
  });

  it('works at no other address than the instance’s own, and its link is good there still', async () => {
    const path = logins.offer(ANA);
    for (const other of [8, null]) {
      instance = other;
      expect((await get(path)).status, String(other)).to.equal(410);
    }
    instance = 7;
    expect((await get(path)).status).to.equal(303);
  });

  it('shows Odoo’s own login page to whom the link is not enough for', async () => {
    session = () => null;
    const answer = await get(logins.offer(ANA));
    expect(answer.status).to.equal(303);
    expect(answer.headers.location).to.equal('/web/login');
    expect(answer.headers['set-cookie']).to.equal(undefined);
  });

  it('leads to where the door waits for an Odoo that cannot be reached, and never says why', async () => {
    session = () => {
      throw new Error('the database of the tenant says something');
    };
    const answer = await get(logins.offer(ANA));
    expect(answer.status).to.equal(303);
    expect(answer.headers.location).to.equal('/web/login');
    expect(answer.headers['set-cookie']).to.equal(undefined);
    expect(answer.text).to.equal('');
    expect(logged).to.include('the database of the tenant says something');
  });
});

describe('a link that logs in', () => {
  const suite = new ServerSuite(HOST, { ...HOST, webhookOnly: true });
  const wanted = { instance: 5, login: 'ana@example.com', ends_at: null };
  const body = JSON.stringify(wanted);
  let count = 0;
  const sendOf = (instance: number) => send(JSON.stringify({ ...wanted, instance }));
  const send = (text = body, index = 0, id = `login_${count++}`) =>
    suite.postTo('/logins', text, signed(text, id), index);

  it('is made for who holds the secret, on both addresses, and is kept in no cache and no log', async () => {
    for (const index of [0, 1]) {
      const answer = await send(body, index);
      expect(answer.status).to.equal(200);
      expect(answer.headers['cache-control']).to.equal('no-store');
      expect(JSON.parse(answer.text).url).to.include('https://5.example.com/');
    }
    expect(JSON.stringify(suite.logged)).not.to.include('token=');
    await send(JSON.stringify({ ...wanted, ends_at: 1_800_000_000 }));
    expect(suite.logins.map(({ endsAt }) => endsAt)).to.deep.equal([null, null, 1_800_000_000]);
  });

  it('is refused to the unsigned, the malformed and the repeated, and there is none to what is not there', async () => {
    expect((await suite.postTo('/logins', body, {})).status).to.equal(401);
    const malformed = [
      {},
      { instance: 5, login: 'a' },
      { ...wanted, login: '' },
      { ...wanted, login: 'a'.repeat(255) },
      { ...wanted, instance: '5' },
      { ...wanted, ends_at: 'never' },
    ].map((one) => JSON.stringify(one));
    for (const text of malformed) expect((await send(text)).status, text).to.equal(400);
    expect((await send(body, 0, 'login_once')).status).to.equal(200);
    expect((await send(body, 1, 'login_once')).status, 'a replay').to.equal(409);
    const others = [
      { ...wanted, instance: 7 },
      { ...wanted, login: 'bob@example.com' },
    ];
    for (const other of others) expect((await send(JSON.stringify(other))).status).to.equal(404);
  });

  it('is made thirty times in a quarter of an hour and not more often', async () => {
    for (let time = 0; time < 30; time++) expect((await send()).status).to.equal(200);
    expect((await send()).status).to.equal(429);
  });

  it('is made for one instance however many others have asked for', async () => {
    for (let instance = 100; instance < 107; instance++)
      for (let time = 0; time < 30; time++) await sendOf(instance);
    expect((await send()).status).to.equal(200);
  });

  it('leads nowhere at the sidecar’s own addresses, whose cookies are the manager’s too', async () => {
    const path = '/.well-known/microsaas-login?token=t';
    for (const index of [0, 1]) expect((await suite.get(path, index)).status).to.equal(404);
  });
});
