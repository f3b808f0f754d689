import { expect } from 'chai';
import { OdooRpc } from '../../../stack/odoo-rpc.ts';
import type { TestEnvironment } from './environment.ts';
import type { Row } from './instances.ts';

/** RPC to a customer's own Odoo. */
export function customerRpc(
  { stack }: TestEnvironment,
  row: Row,
  login: string,
  password: string,
): OdooRpc {
  const database = `ms_${stack.install}_${row.id}`;
  return new OdooRpc({ url: String(row.instance_url), database, login, password });
}

/**
 * Opens the page linked in a welcome mail and presses its button, as a browser does.
 * @returns the one-time link that the button redirects to, or null and the page that is shown instead
 */
export async function pressWelcome(page: string): Promise<{ link: string | null; html: string }> {
  const opened = await fetch(page);
  const html = await opened.text();
  const [, csrf] = /name="csrf_token"[^>]*value="([^"]*)"/.exec(html) ?? [];
  if (csrf === undefined) return { link: null, html };
  const answer = await fetch(opened.url, {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie: cookiesOf(opened) },
    body: new URLSearchParams({ csrf_token: csrf }),
  });
  return { link: answer.headers.get('location'), html: await answer.text() };
}

function cookiesOf(page: Response): string {
  return page.headers
    .getSetCookie()
    .map((it) => it.split(';')[0])
    .join('; ');
}

/** Follows a link for choosing a password as a browser does. @returns the resulting page */
export async function choosePassword(link: string, password: string): Promise<string> {
  const page = await fetch(link);
  const html = await page.text();
  const hidden = (name: string) =>
    new RegExp(`name="${name}"[^>]*value="([^"]*)"`).exec(html)?.[1] ??
    new RegExp(`value="([^"]*)"[^>]*name="${name}"`).exec(html)?.[1];
  const csrf = hidden('csrf_token');
  if (csrf === undefined || !html.includes('name="confirm_password"')) return html;
  const url = new URL(link);
  const form = new URLSearchParams({
    csrf_token: csrf,
    token: url.searchParams.get('token') ?? '',
    login: hidden('login') ?? '',
    name: hidden('name') ?? '',
    password,
    confirm_password: password,
  });
  const answer = await fetch(`${url.origin}/web/reset_password`, {
    method: 'POST',
    headers: { cookie: cookiesOf(page) },
    body: form,
  });
  expect(answer.status, 'after the password was chosen').to.equal(200);
  return answer.text();
}

/** Stores test data in the customer's database and filestore. */
export async function leaveData(rpc: OdooRpc, text: string): Promise<void> {
  await rpc.create('res.partner', { name: text });
  // Of a type that Odoo stores in the filestore, not in the database.
  const datas = Buffer.from(`${text}\n`.repeat(100)).toString('base64');
  await rpc.create('ir.attachment', { name: `${text}.txt`, datas });
}

/** Expects the data that leaveData() stored. */
export async function expectData(rpc: OdooRpc, text: string): Promise<void> {
  const partners = await rpc.read('res.partner', [['name', '=', text]], ['name']);
  expect(partners, 'in the database').to.have.lengthOf(1);
  const domain = [['name', '=', `${text}.txt`]];
  const fields = ['datas', 'store_fname'];
  const [file] = await rpc.read<{ datas: string; store_fname: string }>(
    'ir.attachment',
    domain,
    fields,
  );
  expect(file?.store_fname, 'kept as a file').to.be.a('string');
  const content = Buffer.from(file?.datas ?? '', 'base64').toString();
  expect(content, 'in the files').to.equal(`${text}\n`.repeat(100));
}
