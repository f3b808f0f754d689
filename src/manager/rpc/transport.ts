/** The ways of talking to Odoo: JSON-2 from 19 on, the two older ones up to 21. */
export type RpcName = 'json2' | 'jsonrpc' | 'xmlrpc';

/** Where the manager Odoo is and who we are there. */
export interface OdooConnection {
  /** With or without a path prefix, http or https; never with a login in it. */
  readonly url: string;
  readonly database: string;
  /** The bot user's login; JSON-2 needs none, since the key names its user. */
  readonly login: string;
  readonly apiKey: string;
  /** `auto` asks Odoo which one it has. */
  readonly rpc: RpcName | 'auto';
  /** The longest a call may take, in milliseconds; 15,000 by default. */
  readonly timeoutMs?: number;
}

/** One call of a public method. `args` are named; `ids` only for methods of records. */
export interface Call {
  readonly model: string;
  readonly method: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly ids?: readonly number[];
}

/** One protocol. Gives back Odoo's answer as it came; throws ManagerError, or anything once `signal` is aborted. */
export interface Transport {
  readonly name: RpcName;
  call(call: Call, signal: AbortSignal): Promise<unknown>;
}

/** Resolves `path` under the URL, keeping a path prefix (`https://example.com/odoo`). */
export function endpoint(url: string, path: string): URL {
  return new URL(path, url.endsWith('/') ? url : `${url}/`);
}

/** Control characters but tab and newline, halves of surrogate pairs and non-characters. */
const UNSENDABLE = /(?![\t\n])\p{Cc}|\p{Cs}|[\ufffe\uffff]/gu;

/**
 * Makes a value mean the same over all three protocols: no null (XML-RPC has none) but false, no
 * undefined members, no character that XML or Postgres refuses, dates as Odoo writes them (UTC).
 * The result is a copy. @throws TypeError for a number that is not finite.
 */
export function toOdoo(value: unknown): unknown {
  if (value === null || value === undefined) return false;
  if (typeof value === 'string') return value.replace(UNSENDABLE, '');
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new TypeError(`Odoo cannot be sent the number ${value}`);
  }
  if (value instanceof Date) return value.toISOString().slice(0, 19).replace('T', ' ');
  if (Array.isArray(value)) return value.map(toOdoo);
  if (typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).flatMap(([name, member]) =>
        member === undefined ? [] : [[name, toOdoo(member)]],
      ),
    );
  }
  return value;
}
