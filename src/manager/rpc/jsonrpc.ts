import { z } from 'zod';
import { ManagerError } from '../../errors.ts';
import { broken, refused, unanswered } from './odoo-errors.ts';
import { exchange } from './post-json.ts';
import { session } from './rpc-login.ts';
import { endpoint, type OdooConnection, type Transport } from './transport.ts';

/** `result` is absent when the method gave None, `error` when all went well. */
const envelope = z.object({
  jsonrpc: z.literal('2.0'),
  result: z.unknown().optional(),
  error: z
    .object({
      message: z.string(),
      data: z.object({ name: z.string(), message: z.string() }).optional(),
    })
    .optional(),
});

/** `/jsonrpc` with `execute_kw`: up to Odoo 21. Its errors come with HTTP status 200. */
export function jsonrpc(connection: OdooConnection): Transport {
  const { database, login, apiKey } = connection;
  const url = endpoint(connection.url, 'jsonrpc');

  async function post(
    what: string,
    service: string,
    method: string,
    args: unknown,
    signal: AbortSignal,
  ) {
    const body = { jsonrpc: '2.0', method: 'call', id: 1, params: { service, method, args } };
    const { isBroken, status, json } = await exchange(what, url, { method: 'POST', body }, signal);
    if (status !== 200) throw refused(what, { status, message: `HTTP ${status}` });
    if (isBroken) throw broken(what);
    const answer = envelope.safeParse(json);
    if (!answer.success) throw unanswered(what, 'the answer is not whole JSON-RPC');
    const { error, result } = answer.data;
    if (error) throw refused(what, { message: error.message, ...error.data });
    return result;
  }

  const asUser = session(async (signal) => {
    const args = [database, login, apiKey, {}];
    const uid = await post('authenticate', 'common', 'authenticate', args, signal);
    if (typeof uid === 'number') return uid;
    throw new ManagerError('auth', `${login} may not log in to ${database} with the API key`);
  });

  return {
    name: 'jsonrpc',
    call({ model, method, args, ids }, signal) {
      const positional = ids === undefined ? [] : [ids];
      return asUser(
        (uid) =>
          post(
            `${model}.${method}`,
            'object',
            'execute_kw',
            [database, uid, apiKey, model, method, positional, args],
            signal,
          ),
        signal,
      );
    },
  };
}
