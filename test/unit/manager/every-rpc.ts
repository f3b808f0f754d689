import { expect } from 'chai';
import { z } from 'zod';
import { ManagerError } from '../../../src/errors.ts';
import {
  type CallRecord,
  connect,
  type OdooClient,
  type RpcName,
} from '../../../src/manager/rpc/odoo-client.ts';
import { OdooHttp } from '../../fakes/odoo-http.ts';

export const RPCS = ['json2', 'jsonrpc', 'xmlrpc'] as const;
export const MODEL = 'microsaas.sidecar.api';

/** A fresh fake Odoo for every test of a suite, and clients for it. */
export class OdooSuite {
  odoo = new OdooHttp();
  records: CallRecord[] = [];

  constructor() {
    beforeEach(async () => {
      this.odoo = await new OdooHttp().start();
      this.records = [];
    });
    afterEach(() => this.odoo.stop());
  }

  client(rpc: RpcName | 'auto', change: { url?: string; apiKey?: string } = {}): OdooClient {
    const { url, database, login, apiKey } = this.odoo;
    const connection = { url, database, login, apiKey, rpc, timeoutMs: 5_000, ...change };
    return connect(connection, (record) => this.records.push(record));
  }

  /** One call of a client of its own, for tests of how calls end. */
  call(rpc: RpcName, change: { url?: string; apiKey?: string } = {}): Promise<unknown> {
    return this.client(rpc, change).call(MODEL, 'microsaas_due', { limit: 5 }, z.unknown());
  }
}

/** The error that a call ends with; fails when it ends well. */
export async function errorOf(call: Promise<unknown>): Promise<ManagerError> {
  const error = await call.then(
    () => new Error('the call succeeded'),
    (thrown: unknown) => thrown,
  );
  expect(error).to.be.instanceOf(ManagerError);
  return error as ManagerError;
}
