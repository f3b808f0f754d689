import { expect } from 'chai';
import { OdooManager } from '../../src/manager/manager.ts';
import { connect } from '../../src/manager/rpc/odoo-client.ts';
import { DemoSale } from '../../stack/demo-sale.ts';
import {
  connect as connectSidecar,
  type ManagerDatabase,
  type ManagerStack,
} from '../../stack/manager.ts';
import { startTestStack } from '../support/test-stack.ts';

const DATABASE = 'renewals_test';
const SUBSCRIPTION = 'microsaas.subscription';

describe('renewals in the real Odoo 19', function () {
  this.timeout(600_000);
  let stack: ManagerStack;
  let database: ManagerDatabase;
  let manager: OdooManager;

  before(async () => {
    stack = await startTestStack({ databases: 'all' });
    await stack.dropDatabase(DATABASE);
    database = await stack.database(DATABASE);
    const { login, api_key } = await connectSidecar(database);
    manager = new OdooManager(
      connect({ url: stack.url, database: DATABASE, login, apiKey: api_key, rpc: 'auto' }),
    );
    await manager.syncTemplates([
      { code: 'odoo', name: 'Odoo', odooVersion: '19.0', imagePins: [] },
    ]);
  });
  after(() => stack.dropDatabase(DATABASE));

  /** Sells a plan, pays and claims it. @returns its subscription's id */
  async function subscribe(): Promise<number> {
    const sale = new DemoSale(database.rpc);
    const invoice = await sale.invoice();
    await (await sale.payment(invoice))();
    const line = (await manager.invoice(invoice))?.lines[0]?.id ?? 0;
    const [instance] = await manager.claim([{ lineId: line, unit: 1 }], 0);
    return instance?.subscription?.id ?? 0;
  }

  it('makes one change of plan, with one invoice, of concurrent presses', async () => {
    const bigger = await new DemoSale(database.rpc, { name: 'Bigger', modules: '' }).plan();
    await database.rpc.call('product.product', 'write', [[bigger], { list_price: 999 }]);
    const day = (days: number) =>
      new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
    for (let round = 0; round < 5; round += 1) {
      const id = await subscribe();
      const paid = { fecha_inicio: day(-10), fecha_fin: day(18) };
      await database.rpc.call(SUBSCRIPTION, 'write', [[id], paid]);
      const wizard = await database.rpc.create('microsaas.change.plan', {
        subscription_id: id,
        product_id: bigger,
      });
      const press = () =>
        database.rpc.call<{ res_id: number }>('microsaas.change.plan', 'action_confirm', [
          [wizard],
        ]);
      const opened = await Promise.all([press(), press(), press()]);
      const changes = await database.rpc.read(
        'microsaas.plan.change',
        [['subscription_id', '=', id]],
        ['id'],
      );
      expect(changes, `round ${round}`).to.have.length(1);
      expect(new Set(opened.map((action) => action.res_id)).size).to.equal(1);
    }
  });

  it('makes one invoice of concurrent presses of Renew', async () => {
    for (let round = 0; round < 5; round += 1) {
      const id = await subscribe();
      const press = () =>
        database.rpc.call<{ res_id: number }>(SUBSCRIPTION, 'action_renovar', [[id]]);
      const opened = await Promise.all([press(), press(), press()]);
      const moves = await database.rpc.read(
        'account.move',
        [['invoice_line_ids.suscripcion_id', '=', id]],
        ['id'],
      );
      expect(moves, `round ${round}`).to.have.length(1);
      expect(new Set(opened.map((action) => action.res_id)).size).to.equal(1);
    }
  });
});
