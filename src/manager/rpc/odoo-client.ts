import { type ZodType, z } from 'zod';
import { ConfigError, ManagerError, type ManagerErrorKind } from '../../errors.ts';
import { json2 } from './json2.ts';
import { jsonrpc } from './jsonrpc.ts';
import { refused, unanswered } from './odoo-errors.ts';
import { exchange } from './post-json.ts';
import {
  endpoint,
  type OdooConnection,
  type RpcName,
  type Transport,
  toOdoo,
} from './transport.ts';
import { xmlrpc } from './xmlrpc.ts';

export type { OdooConnection, RpcName } from './transport.ts';

const DEFAULT_TIMEOUT_MS = 15_000;
const TRANSPORTS = { json2, jsonrpc, xmlrpc } as const;

export interface CallOptions {
  /** The records of a record method; left out for a method of the model. */
  readonly ids?: readonly number[];
  readonly timeoutMs?: number;
}

/** Public methods of the manager Odoo, whichever protocol carries them. */
export interface OdooClient {
  /**
   * Calls `model.method` with named arguments and checks the answer.
   * @returns what `schema` makes of the answer.
   * @throws ManagerError: `transport` when nothing came within the time limit, `server` when the answer
   *   does not fit the schema (another version of the addon), else as Odoo refused.
   */
  call<T>(
    model: string,
    method: string,
    args: Readonly<Record<string, unknown>>,
    schema: ZodType<T>,
    options?: CallOptions,
  ): Promise<T>;
}

/** One finished call, for metrics. `rpc` is `auto` while Odoo has not said yet which one it has. */
export interface CallRecord {
  readonly rpc: RpcName | 'auto';
  readonly model: string;
  readonly method: string;
  readonly outcome: 'ok' | ManagerErrorKind;
  readonly seconds: number;
}

/**
 * A client for one manager Odoo. Nothing is sent before the first call, so Odoo need not be up; with
 * `rpc: auto` that call also finds out which protocol to use.
 * @throws ConfigError when the URL is none that can be used.
 */
export function connect(
  connection: OdooConnection,
  onCall: (record: CallRecord) => void = () => {},
): OdooClient {
  checkUrl(connection.url);
  let chosen: Transport | null =
    connection.rpc === 'auto' ? null : TRANSPORTS[connection.rpc](connection);

  return {
    async call(model, method, args, schema, options = {}) {
      const what = `${model}.${method}`;
      const timeoutMs = options.timeoutMs ?? connection.timeoutMs ?? DEFAULT_TIMEOUT_MS;
      const signal = AbortSignal.timeout(timeoutMs);
      const began = performance.now();
      const done = (outcome: CallRecord['outcome']) =>
        onCall({
          rpc: chosen?.name ?? 'auto',
          model,
          method,
          outcome,
          seconds: (performance.now() - began) / 1000,
        });
      const call = {
        model,
        method,
        args: toOdoo(args) as Record<string, unknown>,
        ...(options.ids === undefined ? {} : { ids: options.ids }),
      };
      try {
        chosen ??= TRANSPORTS[await newestRpc(connection.url, signal)](connection);
        const result = checked(what, await chosen.call(call, signal), schema);
        done('ok');
        return result;
      } catch (error) {
        const failure = signal.aborted
          ? unanswered(what, `no answer within ${timeoutMs} ms`, error)
          : error;
        if (failure instanceof ManagerError) done(failure.kind);
        throw failure;
      }
    },
  };
}

/** The protocol to use: JSON-2 where Odoo says its version at /web/version, which began together. */
async function newestRpc(url: string, signal: AbortSignal): Promise<RpcName> {
  const what = 'GET /web/version';
  const { status, json } = await exchange(
    what,
    endpoint(url, 'web/version'),
    { method: 'GET' },
    signal,
  );
  // A gateway in front of an Odoo that is starting says nothing about what it has.
  if (status >= 500 || status === 429) throw refused(what, { status, message: `HTTP ${status}` });
  const says = z.object({ version: z.string() }).safeParse(json);
  return status === 200 && says.success ? 'json2' : 'jsonrpc';
}

function checked<T>(what: string, answer: unknown, schema: ZodType<T>): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  const problem = z.prettifyError(parsed.error).replaceAll('\n', ' ');
  throw new ManagerError(
    'server',
    `${what} answered in a shape this sidecar does not know: ${problem}`,
  );
}

function checkUrl(url: string): void {
  const expected = 'manager.url: expected http(s)://host[:port][/prefix]';
  if (!URL.canParse(url)) throw new ConfigError(`${expected}, found ${url}`);
  const { protocol, username, password, search, hash } = new URL(url);
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw new ConfigError(`${expected}, found ${protocol}`);
  }
  if (username || password) throw new ConfigError(`${expected}, found a login in it`);
  if (search || hash) throw new ConfigError(`${expected}, found ${search}${hash}`);
}
