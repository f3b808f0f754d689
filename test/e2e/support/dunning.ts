import { expect } from 'chai';
import { literal, withSql } from '../../../stack/sql.ts';
import type { TestEnvironment } from './environment.ts';
import { eventually } from './eventually.ts';
import { isPurged, SUBSCRIPTION, type SubscriptionRow } from './instances.ts';

type Known = Pick<SubscriptionRow, 'id'>;

/** The recorded moments of the way down, as the manager's database names them. */
type Moment = 'suspended_at' | 'final_notice_at' | 'hidden_at';

/** The day so many days after today, in UTC, as the company has it. */
export function dayFromNow(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}

/** Makes a subscription one that is paid until so many days after today, as a manager may. */
export async function paidUntil(
  { admin }: TestEnvironment,
  { id }: Known,
  days: number,
): Promise<void> {
  await admin.call(SUBSCRIPTION, 'write', [[id], { fecha_fin: dayFromNow(days) }]);
}

/** Days pass since a rung was taken: its recorded moment moves back, and the sidecar looks again. */
export async function passSince(
  { stack }: TestEnvironment,
  { id }: Known,
  moment: Moment,
  days: number,
): Promise<void> {
  await withSql(await stack.managerSql(), 'manager', async (sql) => {
    const back = `${moment} - ${literal(`${days} days`)}::interval`;
    const [moved] = await sql(
      `UPDATE microsaas_subscription SET ${moment} = ${back} WHERE id = $1 RETURNING ${moment}`,
      [id],
    );
    expect(moved?.[moment], `${moment} of subscription ${id}`).to.be.instanceOf(Date);
    // What was said on a day was said so many days earlier, too.
    await sql(
      `UPDATE microsaas_notice SET period = (period::date - $2::int)::text
        WHERE subscription_id = $1 AND kind IN ('suspended', 'removed', 'finalNotice')`,
      [id, days],
    );
    await sql(
      `UPDATE odoo_docker_instance
          SET next_review = now() AT TIME ZONE 'UTC', revision = revision + 1
        WHERE id = (SELECT instancia_id FROM microsaas_subscription WHERE id = $1)`,
      [id],
    );
  });
}

/** Waits until the customer was told for the last time, and then the days pass that this gives. */
export async function passFinalNotice(env: TestEnvironment, id: number): Promise<void> {
  const subscription = await eventually(async () => {
    const told = await env.instances.subscription({ id });
    expect(told.final_notice_at, 'told for the last time').to.be.a('string');
    return told;
  });
  await passSince(env, subscription, 'final_notice_at', 7);
}

export interface Mail {
  subject: string;
  body_html: string;
}

/** What the customer was sent about a subscription, oldest first. Nothing leaves the tests' manager. */
export async function mailsAbout({ admin }: TestEnvironment, { id }: Known): Promise<Mail[]> {
  // The welcome is a message on no record, so the notices say which mails there were.
  const about = [['subscription_id', '=', id]];
  const notices = await admin.read<{ mail_id: [number, string] | false }>(
    'microsaas.notice',
    about,
    ['mail_id'],
  );
  const mails = notices.flatMap(({ mail_id }) => (mail_id ? [mail_id[0]] : []));
  const found = await admin.read<Mail & { id: number }>(
    'mail.mail',
    [['id', 'in', mails]],
    ['subject', 'body_html'],
  );
  return found.sort((a, b) => a.id - b.id);
}

/** The renewal invoice that *Renew* opens. */
export async function renewal({ bookkeeper }: TestEnvironment, { id }: Known): Promise<number> {
  const action = await bookkeeper.call<{ res_model: string; res_id: number }>(
    SUBSCRIPTION,
    'action_renovar',
    [[id]],
  );
  expect(action.res_model).to.equal('account.move');
  return action.res_id;
}

/** The customer renews: the invoice is confirmed, where it was not, and paid. */
export async function payRenewal(env: TestEnvironment, subscription: Known): Promise<void> {
  const { admin, shop } = env;
  const invoice = await renewal(env, subscription);
  const domain = [['id', '=', invoice]];
  const [move] = await admin.read('account.move', domain, ['state']);
  if (move?.['state'] === 'draft') await shop.post(invoice);
  await shop.pay(invoice);
}

/** Waits until nothing but its archive is left of an instance. @returns the archive's name */
export async function purged(env: TestEnvironment, id: number): Promise<string> {
  return eventually(async () => {
    const row = await env.instances.row(id);
    const shown = `${row.state} ${row.reason} ${row.phase_message}\n${row.log}`;
    expect(isPurged(row), shown).to.equal(true);
    expect(row).to.include({ active: false, http_port: 0, longpolling_port: 0 });
    expect(await env.containersOf(id)).to.deep.equal([]);
    const { archive } = await env.instances.subscription(row);
    expect(archive).to.be.a('string');
    return String(archive);
  });
}
