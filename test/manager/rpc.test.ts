import { expect } from 'chai';
import { z } from 'zod';
import type { ManagerErrorKind } from '../../src/errors.ts';
import { OdooManager } from '../../src/manager/manager.ts';
import { connect, type OdooConnection } from '../../src/manager/rpc/odoo-client.ts';
import { DemoSale } from '../../stack/demo-sale.ts';
import {
  connect as connectSidecar,
  type ManagerDatabase,
  type ManagerStack,
} from '../../stack/manager.ts';
import { aHost } from '../support/samples.ts';
import { startTestStack } from '../support/test-stack.ts';
import { errorOf, RPCS } from '../unit/manager/every-rpc.ts';

const API = 'microsaas.sidecar.api';
const INSTANCE = 'odoo.docker.instance';
const DATABASE = 'rpc_test';
const TEMPLATE = { code: 'odoo', name: 'Odoo', odooVersion: '19.0', imagePins: [] };

describe('the three RPC protocols with the real Odoo 19', function () {
  this.timeout(600_000);
  let stack: ManagerStack;
  let database: ManagerDatabase;
  let bot: OdooConnection;

  before(async () => {
    stack = await startTestStack({ databases: 'all' });
    await stack.dropDatabase(DATABASE);
    database = await stack.database(DATABASE);
    const { login, api_key } = await connectSidecar(database);
    bot = { url: stack.url, database: DATABASE, login, apiKey: api_key, rpc: 'auto' };
    await new OdooManager(connect(bot)).syncTemplates([TEMPLATE]);
  });
  after(() => stack.dropDatabase(DATABASE));

  /** Sells a plan and pays it. @returns its invoice's id */
  async function sell(): Promise<number> {
    const sale = new DemoSale(database.rpc);
    const invoice = await sale.invoice();
    await (await sale.payment(invoice))();
    return invoice;
  }

  it('uses JSON-2 when the protocol is auto', async () => {
    const used: string[] = [];
    const manager = new OdooManager(connect(bot, ({ rpc }) => used.push(rpc)));
    await manager.due(1);
    expect(used).to.deep.equal(['json2']);
  });

  for (const rpc of RPCS) {
    it(`sells, claims and reports over ${rpc}`, async () => {
      const manager = new OdooManager(connect({ ...bot, rpc }));
      const facts = await manager.handshake('abc123');
      expect(facts).to.include({ installId: 'abc123' });
      // Its clock has gone on.
      const { now: _, ...again } = await manager.handshake('other1');
      expect(facts).to.deep.include(again);

      const invoiceId = await sell();
      expect(await manager.unclaimed(10)).to.include(invoiceId);
      const invoice = await manager.invoice(invoiceId);
      expect(invoice?.inPaymentIsPaid).to.equal(true);
      const [line] = invoice?.lines ?? [];
      expect(line).to.include({ isPlan: true, quantity: 1 });
      const unit = { lineId: line?.id ?? 0, unit: 1 };
      const [claimed] = await manager.claim([unit], 0);
      const id = claimed?.id ?? 0;
      const claimedAgain = await manager.claim([unit, unit], 0);
      expect(claimedAgain.map((one) => one.id)).to.deep.equal([id, id]);
      expect(await manager.unclaimed(10)).not.to.include(invoiceId);
      expect(await manager.due(100)).to.include(id);

      const [desired] = await manager.desired([id, 999_999]);
      if (!desired) throw new Error('the claimed instance is not there');
      expect({ ...claimed, managerTime: 0 }).to.deep.equal({ ...desired, managerTime: 0 });
      expect(desired).to.include({ state: 'draft', desiredState: 'running', ports: null });
      expect(desired.subscription).to.include({ state: 'draft', startDay: '' });
      expect(desired.subscription?.periods.map(({ months }) => months)).to.deep.equal([1]);
      expect(desired.requestedAt).to.be.closeTo(Date.now() / 1000, 60);

      const hostile = `á😀 ]]> ]]> <b>&amp;</b> \${x}`;
      const ports = await manager.assignPorts(desired, []);
      if (ports === null) throw new Error('no ports are left');
      await manager.report([
        {
          id,
          revision: desired.revision,
          state: 'running',
          reason: 'UnknownTemplate',
          detail: hostile,
          log: ['first', { at: '2026-11-22 10:00:00', reason: 'TenantDatabase', detail: '' }],
          nextReview: null,
          secondsToReady: 1.25,
          subscription: { state: 'active', startDay: '2026-11-22', endDay: '' },
        },
      ]);
      const [reported] = await manager.desired([id]);
      expect(reported).to.deep.include({ state: 'running', ports, wasReady: true });
      expect(reported?.subscription).to.include({ startDay: '2026-11-22', endDay: '' });
      expect(await manager.due(100)).not.to.include(id);
      const fields = ['phase_message', 'log', 'segundos_hasta_listo', 'next_review'];
      const [row] = await database.rpc.read(INSTANCE, [['id', '=', id]], fields);
      expect(row).to.deep.include({
        phase_message: `There is no template “${rpc === 'xmlrpc' ? hostile.replaceAll(']]>', ']] >') : hostile}”.`,
        log: "2026-11-22 10:00:00 The customer's own database did not do what was asked of it.\nfirst",
        segundos_hasta_listo: 1.25,
        next_review: false,
      });

      const [neighbour] = await manager.claim([await unitOf(manager, await sell())], 0);
      if (!neighbour) throw new Error('the second instance is not there');
      const taken = manager.report([{ id: neighbour.id, revision: neighbour.revision, ports }]);
      expect((await errorOf(taken)).kind).to.equal('validation');
      const next = await manager.assignPorts(neighbour, [ports.http + 1]);
      expect(next?.http).to.be.greaterThan(ports.http + 1);
      expect((await manager.desired([neighbour.id]))[0]?.ports).to.deep.equal(next);
      expect((await manager.states()).get(id)?.state).to.equal('running');

      const use = { id, identity: desired.identity, at: new Date(), diskMb: 50, databaseMb: 20 };
      await manager.reportUse(
        [{ ...use, users: 3, memoryMb: 200, cpus: 0.5, requests: null }],
        aHost({ shortOf: ['memory'] }),
      );
      const numbers = ['disk_mb', 'database_mb', 'user_count'];
      const [used] = await database.rpc.read(INSTANCE, [['id', '=', id]], numbers);
      expect(used).to.deep.include({ disk_mb: 50, database_mb: 20, user_count: 3 });
    });

    it(`holds an invoice over ${rpc}`, async () => {
      const manager = new OdooManager(connect({ ...bot, rpc }));
      const id = await sell();
      await manager.hold(id, { reason: 'TooManyUnits', detail: [21, 20] });
      expect(await manager.invoice(id)).to.include({ hold: 'TooManyUnits' });
      expect(await manager.unclaimed(100)).not.to.include(id);
      expect(await manager.invoice(999_999)).to.equal(null);
    });

    describe(`errors over ${rpc}`, () => {
      const call = (model: string, method: string, args: object, change = {}, ids?: number[]) =>
        errorOf(
          connect({ ...bot, rpc, ...change }).call(
            model,
            method,
            { ...args },
            z.unknown(),
            ids === undefined ? {} : { ids },
          ),
        );
      const due = (change: object) => call(API, 'microsaas_due', { limit: 1 }, change);
      const cases: ReadonlyArray<
        readonly [string, ManagerErrorKind, () => ReturnType<typeof call>]
      > = [
        ['a wrong key', 'auth', () => due({ apiKey: 'x'.repeat(40) })],
        ['a wrong database', 'missing', () => due({ database: 'no_such_database' })],
        ['an unknown model', 'missing', () => call('no.such.model', 'read', {})],
        ['an unknown method', 'missing', () => call(API, 'no_such_method', {})],
        ['a missing argument', 'validation', () => call(API, 'microsaas_due', {})],
        ['an unknown argument', 'validation', () => call(API, 'microsaas_due', { x: 1 })],
        ['a private method', 'access', () => call(INSTANCE, '_desired', {}, {}, [1])],
        [
          'what the bot may not do',
          'access',
          () => call('ir.config_parameter', 'get_param', { key: 'database.secret' }),
        ],
        [
          'a row that is gone',
          'missing',
          () => call('res.partner', 'copy_data', {}, {}, [999_999]),
        ],
        [
          'an unknown field',
          'server',
          () => call('res.partner', 'search', { domain: [['x', '=', 1]] }),
        ],
      ];
      for (const [what, kind, run] of cases) {
        it(`calls ${what} ${kind}`, async () => {
          const error = await run();
          expect(error.kind, error.message).to.equal(kind);
          expect(error.message).not.to.contain('Traceback');
        });
      }
    });
  }
});

async function unitOf(manager: OdooManager, invoiceId: number) {
  const line = (await manager.invoice(invoiceId))?.lines[0];
  if (!line) throw new Error(`invoice ${invoiceId} has no line`);
  return { lineId: line.id, unit: 1 };
}
