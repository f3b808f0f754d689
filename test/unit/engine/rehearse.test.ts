import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { type Rehearsal, rehearse } from '../../../src/engine/rehearse.ts';

const PAGE = '<script src="/web/assets/1/a.js"></script><link href="/web/assets/2/b.css"/>';

describe('the rehearsal of a spare', () => {
  const { signal } = new AbortController();
  let server: Server;
  let visit: Rehearsal;
  /** What it was asked for: path, language and cookie. */
  let asked: string[];
  /** Answers in place of 200. */
  let statuses: Record<string, number>;
  let page: string;
  beforeEach(async () => {
    asked = [];
    statuses = {};
    page = PAGE;
    server = createServer((request, response) => {
      const { cookie = '-', 'accept-language': lang = '-' } = request.headers;
      asked.push(`${request.method} ${request.url} ${lang} ${cookie}`);
      if (request.url === '/web/session/authenticate')
        response.setHeader('Set-Cookie', 'session_id=s1; Path=/');
      response.writeHead(statuses[request.url ?? ''] ?? 200).end(page);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    visit = { origin, database: 'd', login: 'l', password: 'p', lang: 'es_ES' };
  });
  afterEach(() => server.close());

  it('opens the first pages with their bundles, in one language, and logs in', async () => {
    await rehearse(visit, signal);
    const paths = asked.map((line) => line.split(' ')[1]);
    expect(paths).to.include.members(['/web/login', '/web/reset_password', '/', '/odoo']);
    expect(paths).to.include.members(['/web/assets/1/a.js', '/web/assets/2/b.css']);
    expect(paths).to.include('/web/webclient/load_menus?lang=es_ES');
    expect(asked.every((line) => line.includes(' es-ES '))).to.equal(true);
    const home = asked.filter((line) => line.startsWith('GET /odoo'));
    expect(home).to.deep.equal(['GET /odoo es-ES session_id=s1']);
  });

  for (const path of ['/web/login', '/odoo'])
    it(`fails where ${path} is not shown`, async () => {
      statuses[path] = 303;
      const error = await rehearse(visit, signal).catch((thrown: unknown) => thrown);
      expect(error).to.have.property('reason', 'NotAnswering');
    });

  it('does without pages that not every Odoo has', async () => {
    statuses['/'] = 303;
    statuses['/web/reset_password'] = 404;
    await rehearse(visit, signal);
    expect(asked.some((line) => line.includes('/web/webclient/translations'))).to.equal(true);
  });

  it('asks for a few bundles, whatever a page names, and for nothing elsewhere', async () => {
    page = Array.from({ length: 99 }, (_, n) => `<script src="/web/assets/${n}/a.js">`).join('');
    page += '<script src="http://192.0.2.1/web/assets/1/a.js">';
    await rehearse(visit, signal);
    expect(asked.filter((line) => line.includes('/web/assets/')).length).to.equal(6 * 20);
  });
});
