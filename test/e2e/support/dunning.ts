import { expect } from 'chai';
import { literal, withSql } from '../../../stack/sql.ts';
import type { TestEnvironment } from './environment.ts';
import { eventually } from './eventually.ts';
import { isPurged, SUBSCRIPTION, type SubscriptionRow } from './instances.ts';

type Known = Pick<SubscriptionRow, 'id'>;

/** The fields of the manager's database in which the moments of the dunning stages are recorded. */
type Moment = 'suspended_at' | 'final_notice_at' | 'hidden_at';

/** The day so many days after today, in UTC, the company's time zone. */
export function dayFromNow(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}

/** Sets the last paid day of a subscription to so many days after today, as a manager may. */
export async function paidUntil(
  { admin }: TestEnvironment,
  { id }: Known,
  days: number,
): Promise<void> {
  await admin.call(SUBSCRIPTION, 'write', [[id], { fecha_fin: dayFromNow(days) }]);
}

/** Simulates that days have passed since a stage was entered: moves its recorded moment back and makes the review due. */
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
    // Notices are recorded with their day, which moves back too.
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

/** Waits for the final notice, then lets its days pass. */
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

/** The mails to the customer about a subscription, oldest first. The tests' manager sends nothing out. */
export async function mailsAbout({ admin }: TestEnvironment, { id }: Known): Promise<Mail[]> {
  // The welcome mail is a message without a record, so the notices tell which mails there were.
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

/** Renews as a customer: posts the invoice if it is a draft, and pays it. */
export async function payRenewal(env: TestEnvironment, subscription: Known): Promise<void> {
  const { admin, shop } = env;
  const invoice = await renewal(env, subscription);
  const domain = [['id', '=', invoice]];
  const [move] = await admin.read('account.move', domain, ['state']);
  if (move?.['state'] === 'draft') await shop.post(invoice);
  await shop.pay(invoice);
}

/** Waits until an instance is purged. @returns the id of its last backup */
export async function purged(env: TestEnvironment, id: number): Promise<string> {
  return eventually(async () => {
    const row = await env.instances.row(id);
    const shown = `${row.state} ${row.reason} ${row.phase_message}\n${row.log}`;
    expect(isPurged(row), shown).to.equal(true);
    expect(row).to.include({ active: false, http_port: 0, longpolling_port: 0 });
    expect(await env.containersOf(id)).to.deep.equal([]);
    const { archive } = await env.instances.subscription(row);
    expect(archive).to.match(/^[0-9a-f]{64}$/);
    return String(archive);
    // The last backup and its proof come before it.
  });
}
