/** One user's JSON-RPC access to one database of an Odoo. */
export interface OdooLogin {
  /** `http://host:port` */
  url: string;
  database: string;
  login: string;
  password: string;
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What a person would see as an error message of Odoo. */
export class OdooError extends Error {
  /** The server's exception class, e.g. `odoo.exceptions.UserError`. */
  readonly kind: string;

  constructor(kind: string, message: string) {
    super(message);
    this.name = 'OdooError';
    this.kind = kind;
  }
}

/** A person's (or a test's) way into Odoo: every call as that user, over `/jsonrpc`. */
export class OdooRpc {
  readonly #login: OdooLogin;
  #uid: number | undefined;

  constructor(login: OdooLogin) {
    this.#login = login;
  }

  /**
   * Calls a public model method.
   * @param args positional arguments, the record ids first where the method wants records
   * @throws OdooError what Odoo refused; TypeError when it does not answer
   */
  async call<T = unknown>(
    model: string,
    method: string,
    args: unknown[] = [],
    kwargs: Record<string, unknown> = {},
  ): Promise<T> {
    const { database, login, password } = this.#login;
    this.#uid ??= await this.#send<number>('common', 'login', [database, login, password]);
    if (!this.#uid) throw new OdooError('AccessDenied', `Odoo refuses the login ${login}.`);
    const parameters = [database, this.#uid, password, model, method, args, kwargs];
    return this.#send<T>('object', 'execute_kw', parameters);
  }

  /** Creates one record; its id. */
  async create(model: string, values: Record<string, unknown>): Promise<number> {
    return this.call<number>(model, 'create', [values]);
  }

  /** Reads these fields of the records that match, in the order of their ids unless told otherwise. */
  async read<T = Record<string, Json>>(
    model: string,
    domain: unknown[],
    fields: string[],
    options: Record<string, unknown> = {},
  ): Promise<T[]> {
    return this.call<T[]>(model, 'search_read', [domain], { fields, order: 'id', ...options });
  }

  async #send<T>(service: string, method: string, args: unknown[]): Promise<T> {
    const response = await fetch(`${this.#login.url}/jsonrpc`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        jsonrpc: '2.0',
        method: 'call',
        params: { service, method, args },
        id: 1,
      }),
      signal: AbortSignal.timeout(120_000),
    });
    if (!response.ok) throw new TypeError(`Odoo answers ${response.status} on /jsonrpc.`);
    const answer = (await response.json()) as {
      result?: T;
      error?: { message: string; data?: { name: string; message: string } };
    };
    if (answer.error) {
      const { data, message } = answer.error;
      throw new OdooError(data?.name ?? 'OdooError', data?.message ?? message);
    }
    return answer.result as T;
  }
}
