import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readMethodCall, writeFault, writeMethodResponse } from './xmlrpc-wire.ts';

/** A Python exception, thrown by a fake method and encoded as each protocol of the real Odoo 19 does. */
export class PythonError extends Error {
  readonly python: string;
  constructor(python: string, message: string) {
    super(message);
    this.python = python;
  }
}

const JSON2_STATUS: Readonly<Record<string, number>> = {
  'werkzeug.exceptions.Unauthorized': 401,
  'odoo.exceptions.AccessDenied': 403,
  'odoo.exceptions.AccessError': 403,
  'odoo.exceptions.MissingError': 404,
  'werkzeug.exceptions.NotFound': 404,
  'odoo.exceptions.LockError': 409,
  'odoo.exceptions.UserError': 422,
  'odoo.exceptions.ValidationError': 422,
};

const FAULT_CODE: Readonly<Record<string, number>> = {
  'odoo.exceptions.AccessDenied': 3,
  'odoo.exceptions.AccessError': 4,
  'odoo.exceptions.MissingError': 2,
  'odoo.exceptions.LockError': 2,
  'odoo.exceptions.UserError': 2,
  'odoo.exceptions.ValidationError': 2,
};

/** One received call, of any protocol. */
export interface ReceivedCall {
  readonly rpc: 'json2' | 'jsonrpc' | 'xmlrpc';
  readonly model: string;
  readonly method: string;
  readonly ids: unknown;
  readonly args: Record<string, unknown>;
}

/** JSON as Python's json.dumps writes it, including NaN and Infinity, which JSON does not have. */
function asPython(value: unknown): string {
  const marked = (_key: string, part: unknown) =>
    typeof part === 'number' && !Number.isFinite(part) ? `\u0000${part}` : part;
  return JSON.stringify(value, marked).replaceAll(/"\\u0000(-?\w+)"/g, '$1');
}

/** An HTTP server on the loopback that replaces Odoo: it implements all three protocols, and fails on request. */
export class OdooHttp {
  readonly database = 'manager';
  readonly login = 'bot';
  apiKey = 'k'.repeat(40);
  uid = 7;
  /** What a called method gives back or throws; over JSON-2 it may take its time. */
  answer: (call: ReceivedCall) => unknown = () => true;
  /** Answers in Odoo's place, to simulate gateways and failures. */
  instead: ((req: IncomingMessage, res: ServerResponse) => void) | null = null;
  /** `null`: an Odoo before 19. */
  version: string | null = '19.0';
  readonly calls: ReceivedCall[] = [];
  readonly paths: string[] = [];
  logins = 0;
  readonly #server: Server = createServer((req, res) => void this.#serve(req, res));

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get connections(): Promise<number> {
    return new Promise((resolve) => this.#server.getConnections((_error, count) => resolve(count)));
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    this.paths.push(req.url ?? '');
    if (this.instead) return this.instead(req, res);
    let body = '';
    for await (const chunk of req.setEncoding('utf8')) body += chunk;
    // Strips the path prefix of a gateway.
    const path = /\/(web\/version|json\/2\/.*|jsonrpc|xmlrpc\/2\/\w+)$/.exec(req.url ?? '')?.[1];
    if (path === 'web/version' && this.version)
      return this.#json(res, 200, { version: this.version });
    if (path === 'jsonrpc') return this.#jsonrpc(res, JSON.parse(body));
    if (path?.startsWith('xmlrpc')) return this.#xmlrpc(res, body);
    if (path?.startsWith('json/2/') && this.version) return this.#json2(req, res, path, body);
    res.writeHead(404, { 'content-type': 'text/html' }).end('<html><title>404</title></html>');
  }

  #json(res: ServerResponse, status: number, value: unknown): void {
    res.writeHead(status, { 'content-type': 'application/json' }).end(asPython(value));
  }

  #run(call: ReceivedCall): unknown {
    this.calls.push(call);
    return this.answer(call);
  }

  async #json2(
    req: IncomingMessage,
    res: ServerResponse,
    path: string,
    body: string,
  ): Promise<void> {
    const [, , model = '', method = ''] = path.split('/');
    try {
      if (req.headers.authorization !== `bearer ${this.apiKey}`) {
        throw new PythonError('werkzeug.exceptions.Unauthorized', 'Invalid apikey');
      }
      const { ids, ...args } = JSON.parse(body);
      this.#json(res, 200, await this.#run({ rpc: 'json2', model, method, ids, args }));
    } catch (error) {
      const { python, message } = error as PythonError;
      this.#json(res, JSON2_STATUS[python] ?? 500, { name: python, message, debug: 'Traceback' });
    }
  }

  /** `common.authenticate` and `object.execute_kw`, as both older protocols reach them. */
  #dispatch(rpc: 'jsonrpc' | 'xmlrpc', method: string, args: unknown[]): unknown {
    if (method === 'authenticate') {
      this.logins++;
      return args[1] === this.login && args[2] === this.apiKey ? this.uid : false;
    }
    const [database, uid, key, model, name, positional, kwargs] = args;
    if (database !== this.database || uid !== this.uid || key !== this.apiKey) {
      throw new PythonError('odoo.exceptions.AccessDenied', 'Access Denied');
    }
    return this.#run({
      rpc,
      model: String(model),
      method: String(name),
      ids: (positional as unknown[])[0],
      args: kwargs as Record<string, unknown>,
    });
  }

  #jsonrpc(
    res: ServerResponse,
    { id, params }: { id: number; params: { method: string; args: unknown[] } },
  ): void {
    try {
      const value = this.#dispatch('jsonrpc', params.method, params.args);
      // Odoo leaves `result` out when a method gives None.
      this.#json(res, 200, { jsonrpc: '2.0', id, ...(value == null ? {} : { result: value }) });
    } catch (error) {
      const { python, message } = error as PythonError;
      const data = { name: python, message, debug: 'Traceback' };
      this.#json(res, 200, {
        jsonrpc: '2.0',
        id,
        error: { code: 0, message: 'Odoo Server Error', data },
      });
    }
  }

  #xmlrpc(res: ServerResponse, body: string): void {
    let xml: string;
    try {
      const { method, params } = readMethodCall(body);
      xml = writeMethodResponse(this.#dispatch('xmlrpc', method, params));
    } catch (error) {
      const { python = 'builtins.TypeError', message } = error as PythonError;
      const name = python.replace('builtins.', '');
      const traceback = `Traceback (most recent call last):\n  File "x.py", line 1, in f\n    f()\n${name}: ${message}\n`;
      const code = FAULT_CODE[python] ?? 1;
      xml = writeFault(code, code === 1 ? traceback : message);
    }
    res.writeHead(200, { 'content-type': 'text/xml' }).end(xml);
  }
}
