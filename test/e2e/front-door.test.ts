import { expect } from 'chai';
import { run } from '../../stack/run.ts';
import { TestDoor } from './support/door.ts';
import { paidUntil } from './support/dunning.ts';
import { eventually } from './support/eventually.ts';
import { INSTANCE, idOf, type Row } from './support/instances.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';

type Named = Row & { subdomain: string };

chapter('the front door', () => {
  let door: TestDoor;
  let id: number;

  const named = async (): Promise<Named> => {
    const { instances } = theEnvironment();
    const fields = ['subdomain'];
    const [found] = await instances.rpc.read<Named>(INSTANCE, [['id', '=', id]], fields);
    return { ...(await instances.row(id)), subdomain: found?.subdomain ?? '' };
  };
  const login = (label: string) => door.ask(label, '/web/login');

  before(async () => {
    door = await TestDoor.open(theEnvironment());
  });
  after(async () => {
    const { instances } = theEnvironment();
    const left = await instances.find([['active', '=', true]]);
    await instances.remove(left.map((row) => row.id));
    await door?.close();
  });

  scenario('a customer’s Odoo has a name of its own, and the direct port stays', async (env) => {
    const { instances, shop } = env;
    const partner = await shop.customer('Panadería Ñandú');
    const invoice = await shop.sell([{ product: await shop.plan() }], { partner_id: partner });
    const [row] = await instances.running(invoice, 1);
    if (!row) throw new Error('nothing runs');
    id = row.id;
    const { subdomain, instance_url } = await named();
    expect(subdomain).to.match(/^panaderia-nandu/);
    expect(instance_url).to.equal(door.url(subdomain));
    expect((await login(subdomain)).status).to.equal(200);
    expect((await fetch(`http://127.0.0.1:${row.http_port}/web/login`)).status).to.equal(200);
  });

  scenario('websockets come through, and nobody manages databases', async () => {
    const { subdomain } = await named();
    expect(await door.websocket(subdomain)).to.equal(101);
    for (const path of ['/web/database/manager', '/web/database/selector', '/xmlrpc/db'])
      expect((await door.ask(subdomain, path)).status, path).to.equal(404);
  });

  scenario('a host that is nobody’s gets a page with 404, never an instance', async () => {
    for (const host of ['nobody', `127.0.0.1:${door.port}`, 'www.example.com', 'localhost']) {
      const answer = await door.ask(host, '/web/login');
      expect(answer.status, host).to.equal(404);
      expect(answer.headers['content-type'], host).to.include('text/html');
      expect(answer.text, host).not.to.include('name="login"');
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
    const page = await eventually(async () => {
      const answer = await login(subdomain);
      expect(answer.status).to.equal(402);
      return answer;
    });
    const said = page.text.slice(page.text.indexOf('<main>'));
    expect(said, said).to.match(/30\.00/);
    expect(said, said).to.match(/href="http[^"]+">/);
    expect(page.headers['cache-control']).to.equal('no-store');
    await shop.pay(renewal.res_id);
    await instances.reaches(id, 'running');
    await eventually(async () => expect((await login(subdomain)).status).to.equal(200));
  });

  scenario('stopped by hand, it says so with 503, and answers again after Start', async (env) => {
    const { instances } = env;
    const { subdomain } = await named();
    await instances.press(id, 'stop_instance');
    await instances.reaches(id, 'stopped');
    await eventually(async () => expect((await login(subdomain)).status).to.equal(503));
    await instances.press(id, 'start_instance');
    await instances.reaches(id, 'running');
    await eventually(async () => expect((await login(subdomain)).status).to.equal(200));
  });

  scenario('renamed, it answers at the new name and redirects from the old one', async (env) => {
    const { instances } = env;
    const before = await named();
    await instances.rpc.call(INSTANCE, 'write', [[id], { subdomain: 'la-nueva' }]);
    await eventually(async () => expect((await login('la-nueva')).status).to.equal(200));
    const old = await door.ask(before.subdomain, '/web/login?db=x');
    expect(old.status).to.equal(308);
    expect(old.headers.location).to.equal(`${door.url('la-nueva')}/web/login?db=x`);
    await eventually(async () =>
      expect((await named()).instance_url).to.equal(door.url('la-nueva')),
    );
  });

  scenario('killed or removed, the door comes back by itself, and sells meanwhile', async (env) => {
    const { instances, shop } = env;
    await run('docker', ['kill', '--', door.container]);
    await door.isOpen();
    await run('docker', ['rm', '--force', '--', door.container]);
    const invoice = await shop.sell([{ product: await shop.plan() }]);
    const [row] = await instances.running(invoice, 1);
    expect(idOf(row?.factura_id ?? false)).to.equal(invoice);
    await door.isOpen();
    expect((await login('la-nueva')).status).to.equal(200);
  });

  scenario('removed for good, its name says so with 410', async (env) => {
    const { instances } = env;
    const { subdomain } = await named();
    await instances.remove([id]);
    await eventually(async () => expect((await login(subdomain)).status).to.equal(410));
  });
});
