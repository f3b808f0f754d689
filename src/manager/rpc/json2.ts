import { z } from 'zod';
import { broken, refused, unanswered } from './odoo-errors.ts';
import { exchange } from './post-json.ts';
import { endpoint, type OdooConnection, type Transport } from './transport.ts';

/** `debug`, the traceback that Odoo always adds, is left where it is. */
const errorBody = z.object({ name: z.string(), message: z.string() });

/** JSON-2: `POST /json/2/<model>/<method>` with named arguments and a bearer key; Odoo 19 and later. */
export function json2(connection: OdooConnection): Transport {
  const headers = {
    authorization: `bearer ${connection.apiKey}`,
    'x-odoo-database': connection.database,
  };
  return {
    name: 'json2',
    async call({ model, method, args, ids }, signal) {
      const what = `${model}.${method}`;
      const url = endpoint(connection.url, `json/2/${model}/${method}`);
      const body = ids === undefined ? args : { ...args, ids };
      const { isBroken, status, json } = await exchange(
        what,
        url,
        { method: 'POST', headers, body },
        signal,
      );
      if (status === 200) {
        if (isBroken) throw broken(what);
        if (json === undefined) throw unanswered(what, 'the answer is not JSON');
        return json;
      }
      const error = errorBody.safeParse(json);
      throw refused(what, { message: `HTTP ${status} without a reason`, ...error.data, status });
    },
  };
}
