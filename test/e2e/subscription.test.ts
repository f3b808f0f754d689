import { expect } from 'chai';
import {
  choosePassword,
  customerRpc,
  expectData,
  leaveData,
  pressWelcome,
} from './support/customer.ts';
import { lines } from './support/docker.ts';
import {
  dayFromNow,
  mailsAbout,
  paidUntil,
  passSince,
  payRenewal,
  purged,
  renewal,
} from './support/dunning.ts';
import { eventually } from './support/eventually.ts';
import { INSTANCE, idOf, type Row, type SubscriptionRow } from './support/instances.ts';
import { logIn, status } from './support/login.ts';
import { refusal } from './support/refusal.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';

const LOGIN = 'luna@example.com';
const PASSWORD = 'chosen-by-Luna';
const DATA = 'Receta de ensaimada';

chapter('a subscription from the welcome mail to removal and restore', () => {
  let id: number;
  let invoice: number;
  let subscription: SubscriptionRow;

  const row = () => theEnvironment().instances.row(id);
  const luna = async (of: Row) => customerRpc(theEnvironment(), of, LOGIN, PASSWORD);

  /** Waits until the subscription is as expected. @returns it */
  async function becomes(expected: Partial<SubscriptionRow>): Promise<SubscriptionRow> {
    return eventually(async () => {
      const now = await theEnvironment().instances.subscription({ id });
      expect(now).to.include(expected);
      return now;
    });
  }
  /** The subjects of the mails, without dates. */
  async function subjects(): Promise<string[]> {
    const mails = await mailsAbout(theEnvironment(), subscription);
    return mails.map(({ subject }) => subject.replace(/ until .*/, ''));
  }
  const WELCOME = 'Your Odoo is ready';
  const EXPIRING = 'Your Odoo is paid';
  const SUSPENDED = 'Your Odoo is suspended';
  const RENEWED = 'Your Odoo is renewed';
  const REMOVED = 'Your Odoo was removed';
  const FINAL = 'The data of your Odoo will be removed';

  scenario('welcomes who can log in, by a page whose button sets a password once', async (env) => {
    const { shop, instances, sidecar } = env;
    const person = { name: 'Luna', email: LOGIN, lang: 'en_US' };
    const customer = await shop.rpc.create('res.partner', person);
    invoice = await shop.sell([{ product: await shop.plan() }], { partner_id: customer });
    const [sold] = await instances.running(invoice, 1);
    id = sold?.id ?? 0;
    subscription = await becomes({ state: 'active' });
    const [welcome] = await mailsAbout(env, subscription);
    expect(welcome?.subject).to.equal(WELCOME);
    const { login, password } = await sidecar.secret(id);
    expect(login).to.equal(LOGIN);
    expect(welcome?.body_html).not.to.include(password);
    expect(welcome?.body_html, 'a link to log in').not.to.include('reset_password');
    const [, page = ''] = /href="([^"]*\/welcome\/[^"]*)"/.exec(welcome?.body_html ?? '') ?? [];
    const { link } = await pressWelcome(page);
    if (link === null) throw new Error('The button of the welcome page leads nowhere.');
    expect(link).to.match(new RegExp(`^${String((await row()).instance_url)}/web/reset_password`));
    expect(await choosePassword(link, PASSWORD)).to.include('reset successfully');
    expect(await logIn(env, await row(), LOGIN, PASSWORD), 'the chosen password').not.to.equal(0);
    const again = await pressWelcome(page);
    expect(again.link, 'after the first login').to.equal(null);
    expect(again.html).to.include('You have logged in already');
    expect(await choosePassword(link, 'of-somebody-else')).to.match(/Invalid|expired/);
    expect(await logIn(env, await row(), LOGIN, password), 'the first password').to.equal(0);
    await leaveData(await luna(await row()), DATA);
  });

  scenario(
    'the customer is notified a week before the end, and the instance runs through grace',
    async (env) => {
      await paidUntil(env, subscription, 5);
      await becomes({ state: 'expiring_soon', dias_restantes: 5 });
      await paidUntil(env, subscription, -3);
      await becomes({ state: 'expiring_soon', dias_restantes: -3 });
      await env.sidecar.idle();
      expect(await status(`${(await row()).instance_url}/web/login`)).to.equal(200);
      expect(await subjects()).to.deep.equal([WELCOME, EXPIRING, EXPIRING]);
    },
  );

  scenario(
    'after grace it is suspended, keeps its data, and the mail says what to pay',
    async (env) => {
      const { admin, instances } = env;
      await paidUntil(env, subscription, -4);
      const stopped = await instances.reaches(id, 'stopped');
      expect(stopped).to.include({ reason: 'Expired', desired_state: 'running' });
      await becomes({ state: 'expired', reason: 'Expired' });
      const mails = await mailsAbout(env, subscription);
      expect(mails.at(-1)?.subject).to.equal(SUSPENDED);
      expect(mails.at(-1)?.body_html).to.include(`/my/renew/${subscription.id}/`);
      const lines = [['suscripcion_id', '=', subscription.id]];
      expect(await admin.read('account.move.line', lines, ['id']), 'nothing is owed').to.deep.equal(
        [],
      );
      const refused = await refusal(instances.press(id, 'start_instance'));
      expect(refused.message).to.include('Renew subscription');
      const due = await renewal(env, subscription);
      const [move] = await admin.read('account.move', [['id', '=', due]], ['state']);
      expect(move).to.include({ state: 'draft' });
    },
  );

  scenario('a payment resumes it within seconds, with its data', async (env) => {
    const { instances } = env;
    await payRenewal(env, subscription);
    const running = await instances.reaches(id, 'running');
    await expectData(await luna(running), DATA);
    const renewed = await becomes({ state: 'active', reason: false, suspended_at: false });
    expect(renewed.renovacion_ids).to.have.lengthOf(1);
    const days = (Date.parse(String(renewed.fecha_fin)) - Date.parse(dayFromNow(0))) / 86_400_000;
    expect(days, `paid until ${renewed.fecha_fin}`).to.be.within(27, 30);
    expect((await subjects()).at(-1)).to.equal(RENEWED);
  });

  scenario('fully refunded, it is suspended without grace', async (env) => {
    const { admin, instances, shop } = env;
    const [paid] = await admin.read<{ factura_id: [number, string] }>(
      'microsaas.renewal',
      [['id', 'in', (await becomes({})).renovacion_ids]],
      ['factura_id'],
    );
    await shop.refund(paid?.factura_id[0] ?? 0);
    expect(await instances.reaches(id, 'stopped')).to.include({ reason: 'Refunded' });
    await becomes({ state: 'expired', reason: 'Refunded', fecha_fin: dayFromNow(-4) });
    await payRenewal(env, subscription);
    await instances.reaches(id, 'running');
    await becomes({ state: 'active', reason: false });
  });

  scenario('a payment never undoes a stop', async (env) => {
    const { instances } = env;
    await instances.press(id, 'stop_instance');
    await instances.reaches(id, 'stopped');
    const { fecha_fin } = await becomes({ state: 'paused' });
    await payRenewal(env, subscription);
    await eventually(async () => {
      const { fecha_fin: later } = await instances.subscription({ id });
      expect(String(later) > String(fecha_fin), `${later} is later than ${fecha_fin}`).to.equal(
        true,
      );
    });
    await env.sidecar.idle();
    expect(await row()).to.include({ state: 'stopped', reason: 'Stopped' });
    await instances.press(id, 'start_instance');
    await instances.reaches(id, 'running');
  });

  scenario('removed by a person, it can be restored until retention is over', async (env) => {
    const { instances } = env;
    await instances.remove([id]);
    expect(await row()).to.include({ active: false, http_port: 0 });
    expect(await env.containersOf(id)).to.deep.equal([]);
    await instances.press(id, 'action_restaurar');
    await expectData(await luna(await instances.reaches(id, 'running')), DATA);
  });

  scenario('when retention is over it is backed up for the last time, and purged', async (env) => {
    const { instances } = env;
    await instances.remove([id]);
    await eventually(async () => expect((await subjects()).at(-1)).to.equal(REMOVED));
    await passSince(env, subscription, 'hidden_at', 29);
    await eventually(async () => expect((await subjects()).at(-1)).to.equal(FINAL));
    await passSince(env, subscription, 'final_notice_at', 6);
    await env.sidecar.idle();
    expect((await row()).reason, 'a day before').to.equal('Removed');
    await passSince(env, subscription, 'final_notice_at', 1);
    const backup = await purged(env, id);
    const listed = await env.admin.read(
      'microsaas.backup',
      [['instancia_id', '=', id]],
      ['snapshot', 'proof', 'kept'],
    );
    expect(listed.find(({ snapshot }) => snapshot === backup)).to.include({
      ...{ proof: 'data', kept: 'end' },
    });
    const refused = await refusal(instances.press(id, 'action_restaurar'));
    expect(refused.message).to.include(`microsaas restore ${id} ${backup.slice(0, 12)} --yes`);
  });

  scenario('a restore that was killed goes on by itself, and it can end again', async (env) => {
    const { instances, sidecar } = env;
    const { archive } = await becomes({});
    const cutOff = sidecar.restore(id, String(archive)).catch(() => {});
    await eventually(async () => expect((await row()).desired_state).to.equal('draft'));
    await sidecar.kill();
    await cutOff;
    await sidecar.start();
    await instances.reaches(id, 'stopped');
    await instances.remove([id]);
    await eventually(async () => expect((await subjects()).at(-1)).to.equal(REMOVED));
    await passSince(env, subscription, 'hidden_at', 30);
    await eventually(async () => expect((await subjects()).at(-1)).to.equal(FINAL));
    await passSince(env, subscription, 'final_notice_at', 7);
    expect(await purged(env, id), 'another end has another one').not.to.equal(archive);
  });

  scenario('the last backup restores it under its own number, with its data', async (env) => {
    const { instances, sidecar } = env;
    const { archive } = await becomes({});
    await sidecar.restore(id, String(archive));
    await instances.reaches(id, 'stopped');
    expect(await row()).to.include({ active: true });
    await instances.press(id, 'start_instance');
    await expectData(await luna(await instances.reaches(id, 'running')), DATA);
    const refused = await sidecar.restore(id, String(archive), id).then(
      () => '',
      (error: Error) => error.message,
    );
    expect(refused).to.match(/data of its own/);
  });

  scenario(
    'unpaid to the end: final notice, last backup and removal follow each other',
    async (env) => {
      const { instances } = env;
      await paidUntil(env, subscription, -40);
      await instances.reaches(id, 'stopped');
      const before = await subjects();
      await passSince(env, subscription, 'suspended_at', 400);
      await eventually(async () => {
        expect((await subjects()).slice(before.length)).to.deep.equal([FINAL]);
      });
      await env.sidecar.idle();
      expect(await row(), 'one stage, however long ago the one before').to.include({
        state: 'stopped',
      });
      await passSince(env, subscription, 'final_notice_at', 7);
      await purged(env, id);
      expect((await subjects()).slice(before.length), 'each mail once').to.deep.equal([FINAL]);
    },
  );

  scenario('the last backup restores it under another number', async (env) => {
    const { admin, instances, sidecar } = env;
    const { archive } = await becomes({});
    const old = await row();
    const values = { name: 'Luna again', partner_id: idOf(old.partner_id) };
    const other = await admin.create(INSTANCE, values);
    await sidecar.restore(id, String(archive), other);
    await instances.reaches(other, 'stopped');
    await instances.press(other, 'start_instance');
    const running = await instances.reaches(other, 'running');
    await expectData(await luna(running), DATA);
    expect((await instances.subscription({ id: other })).state).to.equal('active');
    expect((await row()).reason, 'the old one').to.equal('Purged');
  });

  scenario('what is kept of it is erased, and the entry of that stays', async (env) => {
    const { sidecar } = env;
    const folder = `${env.stack.files.dataDir}/backups`;
    const context = { context: { active_test: false } };
    const [found] = await env.admin.read<{ identity: string }>(
      INSTANCE,
      [['id', '=', id]],
      ['identity'],
      context,
    );
    const identity = found?.identity ?? '';
    const name = `${env.stack.install}-${id}-${identity.slice(0, 8)}`;
    const kept = () => env.onHost('find', folder, '-name', name);
    expect(lines(await kept()), 'repository and key').to.have.length(2);
    await sidecar.microsaas('erase', String(id), '--yes');
    expect(await kept()).to.equal('');
    const files = await env.onHost('cat', `${folder}/escrow.json`, `${folder}/erased.jsonl`);
    expect(files).not.to.include(name);
    expect(files).to.match(new RegExp(`"identity":"${identity}".*"askedBy":"[^"]+ <`));
  });
});
