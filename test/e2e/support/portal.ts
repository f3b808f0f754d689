import { expect } from 'chai';
import type { TestEnvironment } from './environment.ts';

const PASSWORD = 'a password of the portal';

/** A customer who has logged in to the manager's portal, without a browser. */
export class Portal {
  readonly #url: string;
  readonly #cookie: string;

  private constructor(url: string, cookie: string) {
    this.#url = url;
    this.#cookie = cookie;
  }

  /** Gives a partner an account with their address as its login, as Odoo does, and logs in. */
  static async of({ admin, stack }: TestEnvironment, partner: number): Promise<Portal> {
    const domain = [
      ['module', '=', 'base'],
      ['name', '=', 'group_portal'],
    ];
    const [group] = await admin.read<{ res_id: number }>('ir.model.data', domain, ['res_id']);
    const [person] = await admin.read<{ email: string }>(
      'res.partner',
      [['id', '=', partner]],
      ['email'],
    );
    const login = person?.email ?? '';
    await admin.create('res.users', {
      ...{ login, password: PASSWORD, partner_id: partner },
      group_ids: [[6, 0, [group?.res_id]]],
    });
    const answer = await fetch(`${stack.url}/web/session/authenticate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ params: { db: 'manager', login, password: PASSWORD } }),
    });
    const [cookie = ''] = answer.headers.getSetCookie();
    expect(cookie, 'a session of the portal').to.match(/^session_id=/);
    return new Portal(stack.url, cookie.split(';')[0] ?? '');
  }

  /** The text of a page. */
  async page(path: string): Promise<string> {
    return (await this.#ask(path)).text();
  }

  /** Sends a form of the page of an instance. @returns where it leads; null: it shows a page */
  async press(instance: number, action: string, values: Record<string, string> = {}) {
    const page = `/my/instances/${instance}`;
    const [, csrf = ''] = /name="csrf_token" value="([^"]*)"/.exec(await this.page(page)) ?? [];
    const body = new URLSearchParams({ csrf_token: csrf, ...values });
    const answer = await this.#ask(`${page}/${action}`, { method: 'POST', body });
    return answer.headers.get('location');
  }

  #ask(path: string, more: RequestInit = {}): Promise<Response> {
    const headers = { cookie: this.#cookie };
    return fetch(`${this.#url}${path}`, { redirect: 'manual', headers, ...more });
  }
}
