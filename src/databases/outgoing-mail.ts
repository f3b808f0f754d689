import type { TenantSession } from '../postgres/tenant-session.ts';
import { columnsOf } from './columns.ts';

/** The server through which an instance sends, and the address from which. */
export interface OutgoingMail {
  readonly host: string;
  readonly port: number;
  readonly encryption: 'none' | 'starttls' | 'ssl';
  /** '' with an empty password: the server asks for neither. */
  readonly user: string;
  readonly password: string;
  readonly sender: string;
}

/**
 * Gives a fresh clone its outgoing mail server, unless its modules brought one. All mail leaves with the address `sender`, which the
 * server is to accept, and the author's name: Odoo (17 to 19) sends from another address only where a server's `from_filter` has it, else
 * from `default_from` of the company's e-mail domain (`_find_mail_server` and `_prepare_email_message__` in base/models/ir_mail_server.py).
 */
export async function setUpMail(
  session: TenantSession,
  company: number,
  mail: OutgoingMail,
): Promise<void> {
  if (await session.run('SELECT FROM public.ir_mail_server LIMIT 1')) return;
  await insert(session, 'ir_mail_server', {
    name: mail.host,
    smtp_host: mail.host,
    smtp_port: mail.port,
    smtp_encryption: await encryptionOf(session, mail.encryption),
    smtp_authentication: 'login',
    smtp_user: mail.user || null,
    smtp_pass: mail.password || null,
    from_filter: mail.sender,
    sequence: 10,
    active: true,
  });
  if ((await columnsOf(session, 'mail_alias_domain')).size === 0) return;
  if (await session.run('SELECT FROM public.mail_alias_domain LIMIT 1')) return;
  await insert(session, 'mail_alias_domain', {
    name: mail.sender.split('@')[1],
    default_from: mail.sender,
    // With these Odoo would ask for answers and bounces at addresses that nobody reads; without them answers go to the author.
    bounce_alias: '',
    catchall_alias: '',
    sequence: 10,
  });
  await session.run(
    `UPDATE public.res_company SET alias_domain_id = (SELECT max(id) FROM public.mail_alias_domain)
     WHERE id = $1 AND alias_domain_id IS NULL`,
    [company],
  );
}

/** From Odoo 19 on it checks the server's certificate where the name of the encryption says so; earlier ones cannot. */
async function encryptionOf(
  session: TenantSession,
  encryption: OutgoingMail['encryption'],
): Promise<string> {
  const strict = `${encryption}_strict`;
  const knows = await session.run(
    `SELECT 1 FROM public.ir_model_fields_selection s JOIN public.ir_model_fields f ON f.id = s.field_id
      WHERE f.model = 'ir.mail_server' AND f.name = 'smtp_encryption' AND s.value = $1`,
    [strict],
  );
  return knows ? strict : encryption;
}

/** Inserts one row; what this version of Odoo has no column for is left out. */
async function insert(
  session: TenantSession,
  table: string,
  row: Readonly<Record<string, unknown>>,
): Promise<void> {
  const present = await columnsOf(session, table);
  const columns = Object.keys(row).filter((column) => present.has(column));
  await session.run(
    `INSERT INTO public.${table} (${columns.join(', ')}, create_date, write_date)
     VALUES (${columns.map((_, index) => `$${index + 1}`).join(', ')}, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')`,
    columns.map((column) => row[column]),
  );
}
