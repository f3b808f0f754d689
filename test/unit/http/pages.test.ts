import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { type PagesServer, servePages, type Visit } from '../../../src/http/pages.ts';
import type { StatePage } from '../../../src/interfaces.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { ask } from './server-suite.ts';

const SUSPENDED: StatePage = {
  status: 402,
  retryAfter: 30,
  lang: 'es_ES',
  title: 'Suspendido',
  lines: ['Debe <b>30</b> € & más.'],
  action: { label: 'Pagar ahora', url: 'https://manager.example.com/my/invoices/7?a=1&b=2' },
  secondAction: { label: 'Descargar', url: 'https://manager.example.com/my/instances/7' },
  company: 'Hosting "Ñandú"',
  logoUrl: 'https://manager.example.com/web/image/logo',
};

describe('the pages in place of an instance that does not answer', () => {
  const folder = temporaryFolder();
  let server: PagesServer;
  let socketPath: string;
  let visits: Visit[];
  const arrivals = new EventEmitter();
  let questions: string[];
  let instanceAt: (host: string) => number | null | undefined;
  let takes: boolean;
  /** Until then visitors wait. */
  let wakes: Promise<void>;
  let page: () => Promise<StatePage>;

  beforeEach(async () => {
    visits = [];
    questions = [];
    takes = false;
    wakes = Promise.resolve();
    instanceAt = (host) => (host === 'acme.example.com' ? 7 : null);
    page = async () => SUSPENDED;
    socketPath = join(folder(), 'pages.sock');
    server = await servePages(socketPath, {
      instanceAt: (host) => instanceAt(host),
      domainToken: (host, id) => (host === 'www.acme.com' && id === 3 ? 'the-token' : null),
      takes: async (visit) => {
        visits.push(visit);
        arrivals.emit('visit');
        await wakes;
        return takes;
      },
      page: async (host, id, language) => {
        questions.push(`${host} ${id}${language && ` ${language}`}`);
        return page();
      },
      download: async (req, res) => void res.end(`download ${req.url}`),
      logIn: async (req, res, instance) => void res.end(`login ${instance} ${req.url}`),
      log: pino({ level: 'silent' }),
    });
  });
  afterEach(() => server.close());

  const visit = (headers: Record<string, string> = {}) =>
    ask({
      ...{ socketPath, path: '/page' },
      headers: { 'x-door-host': 'acme.example.com', 'x-door-refused': 'yes', ...headers },
    });

  it('show what the manager says, with its status, in its language, and every value escaped', async () => {
    const answer = await visit();
    expect(answer.status).to.equal(402);
    expect(answer.headers).to.include({
      'content-type': 'text/html; charset=utf-8',
      'content-language': 'es-ES',
      'cache-control': 'no-store',
      'retry-after': '30',
    });
    expect(answer.text).to.include('Debe &lt;b&gt;30&lt;/b&gt; € &amp; más.');
    expect(answer.text).to.include('content="30"');
    expect(answer.text).to.include('Hosting &quot;Ñandú&quot;');
    expect(answer.text).not.to.include('<script').and.not.to.include('<b>');
  });

  it('have room for a second thing to do, beside the first', async () => {
    const { text } = await visit();
    for (const { label, url } of [SUSPENDED.action, SUSPENDED.secondAction].flatMap(
      (it) => it ?? [],
    ))
      expect(text).to.include(
        `href="${url.replace('&', '&amp;').replaceAll('=', '&#x3D;')}">${label}</a>`,
      );
    page = async () => ({ ...SUSPENDED, secondAction: null });
    const without = await visit({ 'x-door-host': 'nobody.example.com' });
    expect(without.text).to.include('Suspendido').and.not.to.include('class="second"');
  });

  it('leave downloads to who serves them, on every name', async () => {
    const path = '/.well-known/microsaas-download?token=t';
    const answer = await ask({ socketPath, path, headers: { host: 'nobody.example.com' } });
    expect(answer.text).to.equal(`download ${path}`);
    expect(questions).to.deep.equal([]);
  });

  it('leave logins to who serves them, and say whose address was asked', async () => {
    const path = '/.well-known/microsaas-login?token=t';
    const at = async (host: string) =>
      (await ask({ socketPath, path, headers: { host } })).text.replace(` ${path}`, '');
    expect(await at('ACME.example.com:8443')).to.equal('login 7');
    expect(await at('nobody.example.com')).to.equal('login null');
    instanceAt = () => undefined;
    expect(await at('acme.example.com'), 'before the names are known').to.equal('login null');
  });

  it('let nothing run and load nothing but the logo', async () => {
    const { headers } = await visit();
    expect(headers['content-security-policy'])
      .to.include("default-src 'none'")
      .and.to.include('img-src https://manager.example.com;');
    page = async () => ({ ...SUSPENDED, logoUrl: '' });
    const without = await visit({ 'x-door-host': 'nobody.example.com' });
    expect(without.headers['content-security-policy']).to.include("img-src 'none'");
    expect(without.text).not.to.include('<img');
  });

  it('give way to the instance when it takes the request now', async () => {
    takes = true;
    const answer = await visit({ 'x-door-method': 'POST', 'x-door-uri': '/web/session?a=1' });
    expect([answer.status, answer.text]).to.deep.equal([204, '']);
    expect(visits).to.deep.equal([{ id: 7, method: 'POST', uri: '/web/session?a=1' }]);
    expect(questions).to.deep.equal([]);
  });

  it('never give way where the door knows no port: it could not send the request on', async () => {
    takes = true;
    expect((await visit({ 'x-door-refused': 'no' })).status).to.equal(402);
    expect(visits).to.deep.equal([]);
  });

  it('find the instance whatever the case, the port and a closing dot', async () => {
    takes = true;
    for (const host of ['ACME.example.com', 'acme.example.com:8443', 'acme.example.com.'])
      expect((await visit({ 'x-door-host': host })).status, host).to.equal(204);
  });

  it('are not loaded again by themselves when they answer a form', async () => {
    const answer = await visit({ 'x-door-method': 'POST' });
    expect(answer.text).not.to.include('http-equiv="refresh"');
    expect(answer.headers, 'what a program is told').to.include({ 'retry-after': '30' });
  });

  it('never ask an instance for a name that is nobody’s: the manager knows who had it', async () => {
    page = async () => ({ ...SUSPENDED, status: 410 });
    for (const host of ['a.example.com', 'a.example.com', '', '127.0.0.1'])
      expect((await visit({ 'x-door-host': host })).status, host).to.equal(410);
    expect(visits).to.deep.equal([]);
    expect(questions).to.deep.equal(['a.example.com 0', ' 0', '127.0.0.1 0']);
  });

  it('say what is about nobody in the visitor’s language, and what is about an instance in its customer’s', async () => {
    const spanish = { 'accept-language': 'es-MX,es;q=0.9,en;q=0.8' };
    await visit({ 'x-door-host': 'a.example.com', ...spanish });
    await visit({ 'x-door-host': 'a.example.com', 'accept-language': 'en' });
    await visit({ 'x-door-host': 'a.example.com', 'accept-language': 'fr' });
    await visit(spanish);
    const asked = ['a.example.com 0 es', 'a.example.com 0 en', 'a.example.com 0'];
    expect(questions).to.deep.equal([...asked, 'acme.example.com 7']);
  });

  it('do not keep the manager busy for whoever invents names', async () => {
    page = async () => ({ ...SUSPENDED, status: 404 });
    for (let name = 0; name < 100; name++)
      expect((await visit({ 'x-door-host': `n${name}.example.com` })).status).to.equal(404);
    expect(questions).to.have.length(30);
  });

  describe('for many who wait', () => {
    let wake: () => void;
    beforeEach(() => {
      takes = true;
      wakes = new Promise((resolve) => {
        wake = resolve;
      });
      instanceAt = (host) => Number(/^n(\d+)\./.exec(host)?.[1] ?? 7);
    });
    /** Lets so many come, one after the other, and wait. */
    const crowd = async (most: number, host: (visitor: number) => string) => {
      const waiting: Array<ReturnType<typeof visit>> = [];
      while (waiting.length < most) {
        const come = once(arrivals, 'visit');
        waiting.push(visit({ 'x-door-host': host(waiting.length) }));
        await come;
      }
      return waiting;
    };

    it('hold a hundred of one instance, and the others’ no less for it', async () => {
      const held = await crowd(100, () => 'acme.example.com');
      expect((await visit()).status, 'one more').to.equal(402);
      const [other] = await crowd(1, () => 'n8.example.com');
      wake();
      expect((await other)?.status).to.equal(204);
      const statuses = (await Promise.all(held)).map(({ status }) => status);
      expect(new Set(statuses)).to.deep.equal(new Set([204]));
      expect((await visit()).status, 'as soon as they are gone').to.equal(204);
    });

    it('hold a thousand of all together, and wake for the next visitor all the same', async () => {
      const held = await crowd(1_000, (visitor) => `n${visitor}.example.com`);
      expect((await visit({ 'x-door-host': 'n1001.example.com' })).status).to.equal(402);
      expect(visits.at(-1)).to.include({ id: 1_001 });
      wake();
      await Promise.all(held);
    });
  });

  it('say no more about invented names than they may ask, each in the language that was asked before', async () => {
    const inLanguage = (lang: string) => ({ ...SUSPENDED, status: 404, title: lang, lang });
    let asked = 0;
    page = async () => inLanguage(asked++ % 2 === 0 ? 'es' : 'en');
    const answers: string[] = [];
    for (let name = 0; name < 40; name++) {
      const language = name % 2 === 0 ? 'es' : 'en';
      const host = { 'x-door-host': `n${name}.example.com`, 'accept-language': language };
      const { headers } = await visit(host);
      answers.push(`${language} ${headers['content-language']}`);
    }
    expect(new Set(answers)).to.deep.equal(new Set(['es es', 'en en']));
    expect(questions).to.have.length(30);
  });

  it('ask the manager once for many visitors at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => visit()));
    expect(new Set(answers.map(({ status }) => status))).to.deep.equal(new Set([402]));
    expect(questions).to.have.length(1);
  });

  it('say in two languages that nothing is known while the manager is away', async () => {
    page = () => Promise.reject(new Error('ECONNREFUSED'));
    const answer = await visit();
    expect(answer.status).to.equal(503);
    expect(answer.headers['retry-after']).to.equal('10');
    expect(answer.text).to.include('Not available').and.to.include('No disponible');
    expect(answer.text).not.to.include('ECONNREFUSED');
  });

  it('say so too, and not that there is no such address, before the names are known', async () => {
    instanceAt = () => undefined;
    expect((await visit()).status).to.equal(503);
    expect(questions).to.deep.equal([]);
  });

  it('prove that a customer’s domain leads here, and no other', async () => {
    const token = (host: string, query = '?id=3') =>
      ask({ socketPath, path: `/.well-known/microsaas-domain${query}`, headers: { host } });
    expect(await token('WWW.acme.com')).to.include({ status: 200, text: 'the-token' });
    expect(await token('www.other.com')).to.include({ status: 404, text: '' });
    for (const query of ['?id=4', '?id=x', '?id=', '?', ''])
      expect(await token('www.acme.com', query), query).to.include({ status: 404, text: '' });
  });

  it('have no other address', async () => {
    expect((await ask({ socketPath, path: '/metrics' })).status).to.equal(404);
  });
});
