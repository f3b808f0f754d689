import { expect } from 'chai';
import { run } from '../../stack/run.ts';
import { withSql } from '../../stack/sql.ts';
import { pngOf } from '../support/png.ts';
import { TestDoor } from './support/door.ts';
import { paidUntil } from './support/dunning.ts';
import { eventually } from './support/eventually.ts';
import { INSTANCE, type Row } from './support/instances.ts';
import { Portal } from './support/portal.ts';
import { refusal } from './support/refusal.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';

const OWN_DOMAIN = 'www.panaderia.test';

type Named = Row & { subdomain: string; is_asleep: boolean };

chapter('the front door', () => {
  let door: TestDoor;
  let plan: number;
  let partner: number;
  let id: number;

  const named = async (): Promise<Named> => {
    const { instances } = theEnvironment();
    const fields = ['subdomain', 'is_asleep'];
    const [found] = await instances.rpc.read<Named>(INSTANCE, [['id', '=', id]], fields);
    if (!found) throw new Error(`there is no instance ${id}`);
    return { ...(await instances.row(id)), ...found };
  };
  /** Waits until a name answers with this status; its certificate is ordered when the name is new. */
  const answers = (name: string, status: number) =>
    eventually(async () => {
      const answer = await door.ask(name, '/web/login');
      expect(answer.status, name).to.equal(status);
      return answer;
    });
  /** Logs the administrator in through the door. @returns the cookie */
  const session = async (name: string): Promise<string> => {
    const { sidecar, stack } = theEnvironment();
    const { login, password } = await sidecar.secret(id);
    const params = { db: `ms_${stack.install}_${id}`, login, password };
    const body = JSON.stringify({ jsonrpc: '2.0', method: 'call', id: 1, params });
    const headers = { 'content-type': 'application/json' };
    const answer = await door.ask(name, '/web/session/authenticate', {
      ...{ method: 'POST', headers, body },
    });
    const cookie = answer.headers['set-cookie']?.find((it) => it.startsWith('session_id=')) ?? '';
    expect(cookie, 'the session cookie')
      .to.match(/; Secure/)
      .and.to.match(/HttpOnly/);
    return cookie.split(';')[0] ?? '';
  };

  /** Calls a method of a model through the door, as the administrator who is logged in by a cookie. */
  const call = async (cookie: string, model: string, method: string, args: unknown[]) => {
    const { subdomain } = await named();
    const params = { model, method, args, kwargs: {} };
    const body = JSON.stringify({ jsonrpc: '2.0', method: 'call', id: 1, params });
    const headers = { 'content-type': 'application/json', cookie };
    const path = '/web/dataset/call_kw';
    const answer = await door.ask(subdomain, path, { method: 'POST', headers, body });
    expect(answer.status, answer.text.slice(0, 300)).to.equal(200);
    const { error, result } = JSON.parse(answer.text) as { error?: unknown; result: unknown };
    expect(error, `${model}.${method}`).to.equal(undefined);
    return result;
  };

  before(async () => {
    const env = theEnvironment();
    door = await TestDoor.open(env, ['panaderia-nandu', 'la-nueva', 'otra-empresa'], [OWN_DOMAIN]);
    plan = await env.shop.plan();
  });
  after(async () => {
    const { instances } = theEnvironment();
    const left = await instances.find([['active', '=', true]]);
    await instances.remove(left.map((row) => row.id));
    await door?.close();
  });

  scenario(
    'a sold instance has an https address of its own, and the direct port stays',
    async (env) => {
      const { instances, shop } = env;
      partner = await shop.customer('Panadería Ñandú');
      const invoice = await shop.sell([{ product: plan }], { partner_id: partner });
      const [row] = await instances.running(invoice, 1);
      if (!row) throw new Error('nothing runs');
      id = row.id;
      const { subdomain, instance_url } = await named();
      expect(subdomain).to.equal('panaderia-nandu');
      expect(instance_url).to.equal(door.url(subdomain));
      const page = await answers(subdomain, 200);
      expect(page.headers['strict-transport-security']).to.match(/max-age=\d{8}/);
      expect((await fetch(`http://127.0.0.1:${row.http_port}/web/login`)).status).to.equal(200);
      const plain = await door.ask(subdomain, '/web/login?a=1', { isSecure: false });
      expect([plain.status, plain.headers.location]).to.deep.equal([
        308,
        `${door.url(subdomain)}/web/login?a=1`,
      ]);
    },
  );

  scenario('websockets come through, and nobody manages databases', async () => {
    const { subdomain } = await named();
    expect(await door.websocket(subdomain)).to.equal(101);
    for (const path of ['/web/database/manager', '/web/database/selector', '/xmlrpc/db'])
      expect((await door.ask(subdomain, path)).status, path).to.equal(404);
  });

  scenario(
    'its customer opens it as themselves, and support as its administrator while they let it in',
    async (env) => {
      const { subdomain } = await named();
      const portal = await Portal.of(env, partner);
      const page = await portal.page(`/my/instances/${id}`);
      expect(page).to.include(`/my/instances/${id}/open`);
      /** Opens a link behind the door. @returns the first page, and what a second opening is answered */
      const open = async (link: string) => {
        const { host, pathname, search } = new URL(link);
        expect(host).to.equal(new URL(door.url(subdomain)).host);
        const elsewhere = await door.ask('manager', pathname + search);
        expect(elsewhere.status, 'at another address').to.equal(410);
        const { headers, status } = await door.ask(subdomain, pathname + search);
        expect([status, headers.location]).to.deep.equal([303, '/odoo']);
        const [cookie = ''] = headers['set-cookie'] ?? [];
        expect(cookie).to.match(/^session_id=[\w-]{84}; HttpOnly; Path=\/; Secure$/);
        const again = await door.ask(subdomain, pathname + search);
        expect([again.status, again.headers['set-cookie']]).to.deep.equal([410, undefined]);
        const session = { headers: { cookie: cookie.split(';')[0] ?? '' } };
        return door.ask(subdomain, '/odoo', session);
      };
      const link = await portal.press(id, 'open');
      const home = await open(String(link));
      expect(home.status).to.equal(200);
      expect(home.text).to.include('"uid": 2,');

      const logIn = () =>
        env.admin.call<{ url: string }>(INSTANCE, 'action_log_in_for_support', [[id]]);
      expect((await refusal(logIn())).message).to.include('does not let support in');
      await portal.press(id, 'support', { may_log_in: '1' });
      expect((await open((await logIn()).url)).status).to.equal(200);
      // In whichever language the manager's database was made.
      const told = /of our support logged in|de nuestro soporte, inició sesión/;
      expect(await portal.page(`/my/instances/${id}`)).to.match(told);
      await portal.press(id, 'support');
      expect((await refusal(logIn())).message).to.include('does not let support in');
    },
  );

  scenario(
    'a document is printed with the company’s logo and with its styles, which Odoo’s printer loads from Odoo',
    async () => {
      const { subdomain } = await named();
      const cookie = await session(subdomain);
      const [logo, hidden] = [pngOf(70, 50), pngOf(110, 30)];
      await call(cookie, 'res.company', 'write', [[1], { logo }]);
      // In the body: the wkhtmltopdf of Debian prints no page headers, where the layout of all documents has the logo.
      const letter = `<t t-call="web.html_container"><t t-foreach="docs" t-as="company">
        <t t-call="web.external_layout"><div class="page"><h1>A letter</h1>
        <img t-attf-src="/web/image/res.company/#{company.id}/logo"/>
        <img class="d-none" src="data:image/png;base64,${hidden}"/></div></t></t></t>`;
      const key = 'front_door.letter';
      await call(cookie, 'ir.ui.view', 'create', [{ name: key, key, type: 'qweb', arch: letter }]);
      await call(cookie, 'ir.actions.report', 'create', [
        { name: 'Letter', model: 'res.company', report_type: 'qweb-pdf', report_name: key },
      ]);
      const pdf = await door.ask(subdomain, `/report/pdf/${key}/1`, { headers: { cookie } });
      expect(pdf.status, pdf.text.slice(0, 300)).to.equal(200);
      expect(pdf.text.slice(0, 5)).to.equal('%PDF-');
      const sizes = [...pdf.text.matchAll(/\/Subtype \/Image\s+\/Width (\d+)\s+\/Height (\d+)/g)];
      const shown = sizes.map(([, width, height]) => `${width}x${height}`);
      expect(shown, 'the logo').to.include('70x50');
      expect(shown, 'what the styles hide').to.not.include('110x30');
    },
  );

  scenario('a host that is nobody’s gets a page with 404 and no certificate', async () => {
    for (const host of ['nobody.front.test', 'www.example.com', 'front.test']) {
      const answer = await door.ask(host, '/web/login', { isSecure: false });
      expect(answer.status, host).to.equal(404);
      expect(answer.headers['content-type'], host).to.include('text/html');
      const refused = await door.ask(host, '/').then(
        () => 'answered',
        () => 'refused',
      );
      expect(refused, host).to.equal('refused');
    }
  });

  scenario('unpaid, it shows what is owed and where to pay; paid, it runs again', async (env) => {
    const { instances, shop } = env;
    const { subdomain } = await named();
    const subscription = await instances.subscription({ id });
    const renewal = await instances.rpc.call<{ res_id: number }>(
      'microsaas.subscription',
      'action_renovar',
      [[subscription.id]],
    );
    await shop.post(renewal.res_id);
    await paidUntil(env, subscription, -10);
    await instances.reaches(id, 'stopped');
    const page = await answers(subdomain, 402);
    const said = page.text.slice(page.text.indexOf('<main>'));
    expect(said, said).to.match(/30[.,]00/);
    expect(said, said).to.match(/href="http[^"]+">/);
    expect(page.headers['cache-control']).to.equal('no-store');
    await shop.pay(renewal.res_id);
    await instances.reaches(id, 'running');
    await answers(subdomain, 200);
  });

  scenario('stopped by hand, it says so with 503, and answers again after Start', async (env) => {
    const { instances } = env;
    const { subdomain } = await named();
    await instances.press(id, 'stop_instance');
    await instances.reaches(id, 'stopped');
    await answers(subdomain, 503);
    await instances.press(id, 'start_instance');
    await instances.reaches(id, 'running');
    await answers(subdomain, 200);
  });

  scenario(
    'idle, it falls asleep; a form that is sent then wakes it and arrives whole',
    async (env) => {
      const { shop, sidecar } = env;
      const { subdomain } = await named();
      const cookie = await session(subdomain);
      // The daily jobs of a new instance run within its first hour, and whoever has work in the next minutes stays awake for it.
      await withSql(await env.stack.tenantSql(), `ms_${env.stack.install}_${id}`, (sql) =>
        sql(`UPDATE ir_cron SET nextcall = (now() AT TIME ZONE 'UTC') + interval '12 hours'`),
      );
      const hours = (value: number) =>
        shop.rpc.call('product.product', 'write', [[plan], { microsaas_sleep_hours: value }]);
      await hours(10 / 3600);
      // What this run of the sidecar knows of visitors is gone with it: the ten seconds begin with the next one.
      await sidecar.restartReady();
      await eventually(async () => expect((await named()).is_asleep, 'asleep').to.equal(true));
      expect((await named()).state).to.equal('running');
      await eventually(async () => {
        const [container] = await env.containersOf(id);
        expect(container?.State.Running, 'its container runs').to.equal(false);
      });
      const values = { name: 'Woken', comment: 'x'.repeat(1_000_000) };
      const created = await call(cookie, 'res.partner', 'create', [values]);
      expect(created).to.be.a('number');
      await eventually(async () => expect((await named()).is_asleep).to.equal(false));
      await hours(0);
    },
  );

  scenario(
    'a domain of the customer’s own is verified, certified and served, and becomes the address',
    async (env) => {
      const { instances } = env;
      const { subdomain } = await named();
      door.point(OWN_DOMAIN, subdomain);
      const domain = await env.admin.create('microsaas.domain', {
        ...{ name: OWN_DOMAIN, instance_id: id },
      });
      await eventually(async () => {
        const fields = ['state', 'message'];
        const [row] = await env.admin.read('microsaas.domain', [['id', '=', domain]], fields);
        expect(row, JSON.stringify(row)).to.include({ state: 'verified' });
      });
      await answers(OWN_DOMAIN, 200);
      await eventually(async () =>
        expect((await instances.row(id)).instance_url).to.equal(`https://${OWN_DOMAIN}`),
      );
      await eventually(async () => {
        const old = await door.ask(subdomain, '/web/login');
        expect([old.status, old.headers.location]).to.deep.equal([
          308,
          `https://${OWN_DOMAIN}/web/login`,
        ]);
      });
      await env.admin.call('microsaas.domain', 'unlink', [[domain]]);
      await answers(subdomain, 200);
    },
  );

  scenario('renamed, it answers at the new name and redirects from the old one', async (env) => {
    const { instances } = env;
    const before = await named();
    await instances.rpc.call(INSTANCE, 'write', [[id], { subdomain: 'la-nueva' }]);
    await answers('la-nueva', 200);
    const old = await door.ask(before.subdomain, '/web/login?db=x');
    expect(old.status).to.equal(308);
    expect(old.headers.location).to.equal(`${door.url('la-nueva')}/web/login?db=x`);
    await eventually(async () =>
      expect((await named()).instance_url).to.equal(door.url('la-nueva')),
    );
  });

  scenario(
    'killed or removed, the door comes back by itself, and sales go on meanwhile',
    async (env) => {
      const { instances, shop } = env;
      await run('docker', ['kill', '--', door.container]);
      await door.isOpen();
      await run('docker', ['rm', '--force', '--', door.container]);
      const partner = await shop.customer('Otra empresa');
      const invoice = await shop.sell([{ product: plan }], { partner_id: partner });
      await instances.running(invoice, 1);
      await door.isOpen();
      await answers('la-nueva', 200);
      await answers('otra-empresa', 200);
    },
  );

  scenario('removed for good, its name says so with 410', async (env) => {
    const { instances } = env;
    await instances.remove([id]);
    await answers('la-nueva', 410);
  });
});
