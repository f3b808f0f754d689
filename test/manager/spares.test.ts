import { expect } from 'chai';
import { z } from 'zod';
import { OdooManager } from '../../src/manager/manager.ts';
import { connect, type OdooClient } from '../../src/manager/rpc/odoo-client.ts';
import { DemoSale } from '../../stack/demo-sale.ts';
import {
  connect as connectSidecar,
  type ManagerDatabase,
  type ManagerStack,
} from '../../stack/manager.ts';
import { startTestStack } from '../support/test-stack.ts';

const API = 'microsaas.sidecar.api';
const DATABASE = 'spares_test';
const ROUNDS = 5;

describe('spares in the real Odoo 19', function () {
  this.timeout(600_000);
  let stack: ManagerStack;
  let database: ManagerDatabase;
  let odoo: OdooClient;
  let manager: OdooManager;
  let plan: number;

  before(async () => {
    stack = await startTestStack({ databases: 'all' });
    await stack.dropDatabase(DATABASE);
    database = await stack.database(DATABASE);
    const { login, api_key } = await connectSidecar(database);
    odoo = connect({ url: stack.url, database: DATABASE, login, apiKey: api_key, rpc: 'auto' });
    manager = new OdooManager(odoo);
    await manager.syncTemplates([
      { code: 'odoo', name: 'Odoo', odooVersion: '19.0', imagePins: [] },
    ]);
    await new DemoSale(database.rpc).plan();
    const rows = z.array(z.object({ id: z.int() }));
    const [row] = await odoo.call(API, 'microsaas_plans', { plan_ids: [] }, rows);
    plan = row?.id ?? 0;
    const prepared = { plan_id: plan, is_ready: true, reason: '', detail: '' };
    await odoo.call(API, 'microsaas_report_plan', prepared, z.literal(true));
  });
  after(() => stack.dropDatabase(DATABASE));

  const report = (number: number, state: string) =>
    odoo.call(API, 'microsaas_report_spare', { number, state }, z.boolean());

  /** Makes a spare that can be sold. @returns its number */
  async function ready(): Promise<number> {
    const rows = z.array(z.object({ spare_content: z.string() }));
    const [row] = await odoo.call(API, 'microsaas_plans', { plan_ids: [plan] }, rows);
    const wanted = { plan_id: plan, content: row?.spare_content, above: 0 };
    const number = await odoo.call(API, 'microsaas_reserve_spare', wanted, z.int().positive());
    expect(await report(number, 'ready')).to.equal(true);
    return number;
  }

  /** Sells and pays one unit. @returns what claims it, and answers with its instance's number */
  async function paid(): Promise<() => Promise<number>> {
    const sale = new DemoSale(database.rpc);
    const invoice = await sale.invoice();
    await (await sale.payment(invoice))();
    const lineId = (await manager.invoice(invoice))?.lines[0]?.id ?? 0;
    return async () => (await manager.claim([{ lineId, unit: 1 }], 0))[0]?.id ?? 0;
  }

  it('gives each spare to one of the concurrent claims, and the others an instance as ever', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const spares = [await ready(), await ready()];
      const claims = [await paid(), await paid(), await paid(), await paid()];
      const numbers = await Promise.all(claims.map((claim) => claim()));
      expect(new Set(numbers).size, `round ${round}`).to.equal(claims.length);
      expect(numbers.filter((number) => spares.includes(number))).to.have.members(spares);
    }
  });

  it('sells no spare that is to leave, and lets none leave that is sold', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const spare = await ready();
      const claim = await paid();
      const [number, leaves] = await Promise.all([claim(), report(spare, 'leaving')]);
      expect(leaves, `round ${round}`).to.equal(number !== spare);
    }
  });
});
