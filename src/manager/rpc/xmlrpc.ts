import OdooAwait from 'odoo-await';
import { ManagerError } from '../../errors.ts';
import { broken, type OdooFailure, redirected, refused, unanswered } from './odoo-errors.ts';
import { session } from './rpc-login.ts';
import { endpoint, type OdooConnection, type Transport } from './transport.ts';

/**
 * odoo-await, made safe for one call. Its client options go to `http.request` as they are, which is
 * the only place where a time limit and a path prefix can be handed in: it offers neither itself.
 */
class XmlRpcClient extends OdooAwait {
  /** Declared static in odoo-await's types by mistake; it is read and set on the object. */
  declare uid: number;
  readonly #url: string;
  readonly #signal: AbortSignal;

  constructor(connection: OdooConnection, uid: number, signal: AbortSignal) {
    super({
      baseUrl: connection.url,
      db: connection.database,
      username: connection.login,
      password: connection.apiKey,
    });
    this.uid = uid;
    this.#url = connection.url;
    this.#signal = signal;
  }

  override createClientOptions(path: string) {
    const options = super.createClientOptions(path);
    return {
      ...options,
      host: options.host.replace(/^\[|\]$/g, ''),
      path: endpoint(this.#url, path.slice(1)).pathname,
      signal: this.#signal,
    };
  }
}

/** What node-xmlrpc puts on its errors. */
interface XmlRpcError extends Error {
  readonly faultCode?: number;
  readonly faultString?: string;
  readonly res?: import('node:http').IncomingMessage;
}

/** Odoo's fault codes (its addon `rpc`, controllers/xmlrpc.py); 1 comes with a traceback instead of a name. */
const FAULT_NAMES: Readonly<Record<number, string>> = {
  2: 'UserError',
  3: 'AccessDenied',
  4: 'AccessError',
};

const NOT_FINITE = /^Expected a double but got ['"]?-?(nan|inf)/i;

function fromFault(code: number, text: string): OdooFailure {
  const name = FAULT_NAMES[code];
  if (name) return { name, message: text };
  // The exception stands after the frames: its name and message, then maybe more lines of the message.
  const lines = text.split('\n');
  const lastFrame = lines.findLastIndex((line) => line.startsWith('  File '));
  const exception = lines.slice(lastFrame + 1).find((line) => /^\S/.test(line)) ?? '';
  const [, pythonName, message] = /^([\w.]+): (.*)$/.exec(exception) ?? [];
  return pythonName ? { name: pythonName, message: message ?? '' } : { message: exception };
}

/** odoo-await rejects with faults, with network errors, with parse errors and with plain strings. */
function asManagerError(what: string, thrown: unknown): ManagerError {
  if (typeof thrown === 'string') return new ManagerError('auth', `${what}: ${thrown}`);
  const error = thrown as XmlRpcError;
  if (error.faultCode !== undefined) {
    return refused(what, fromFault(error.faultCode, error.faultString ?? ''));
  }
  const status = error.res?.statusCode ?? 200;
  if (status >= 300 && status < 400) return redirected(what, error.res?.headers.location ?? '');
  if (status !== 200) return refused(what, { status, message: `HTTP ${status}` });
  // node-xmlrpc's words for a <double> that is not finite; Python writes nan and inf.
  if (NOT_FINITE.test(error.message)) return broken(what);
  return unanswered(what, error.message);
}

/**
 * node-xmlrpc sends text in a CDATA section but splits only its first `]]>`: a second one would end
 * the section and let the rest through as markup.
 */
function withoutCdataEnd(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll(']]>', ']] >');
  if (Array.isArray(value)) return value.map(withoutCdataEnd);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, withoutCdataEnd(member)]),
  );
}

/** XML-RPC through odoo-await: up to Odoo 21. All of the library's traps stay in this file. */
export function xmlrpc(connection: OdooConnection): Transport {
  const attempt = async <T>(what: string, run: () => Promise<T>): Promise<T> => {
    try {
      return await run();
    } catch (error) {
      throw asManagerError(what, error);
    }
  };

  const asUser = session((signal) =>
    attempt(
      'authenticate',
      async (): Promise<number> => new XmlRpcClient(connection, 0, signal).connect(),
    ),
  );

  return {
    name: 'xmlrpc',
    call({ model, method, args, ids }, signal) {
      // A fresh array every time: odoo-await puts database, uid and key in front of it.
      const params = () => [ids === undefined ? [] : [ids], withoutCdataEnd(args)];
      return asUser(
        (uid) =>
          attempt(`${model}.${method}`, () =>
            new XmlRpcClient(connection, uid, signal).execute_kw(model, method, params()),
          ),
        signal,
      );
    },
  };
}
