import { expect } from 'chai';
import { parse, stringify } from 'yaml';
import type { TestEnvironment } from './support/environment.ts';
import { eventually } from './support/eventually.ts';
import { killedAt, stepOf } from './support/killing.ts';
import { logIn } from './support/login.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';
import type { LogLine } from './support/sidecar.ts';

const CONFIG = 'sidecar/microsaas.yaml';

/** In a language that the manager has: in those, spares are made. */
const ANA = { name: 'Ana', email: 'ana@example.com', lang: 'es_ES' };

interface SpareRow {
  readonly id: number;
  readonly number: number;
  readonly state: 'making' | 'ready' | 'leaving';
}

chapter('started instances are kept ready, and sold', () => {
  let product: number;

  /** Gives spares so much memory, in MB, from the sidecar's next start on, which this is. */
  async function keepSpares({ sidecar, stack }: TestEnvironment, spareMemoryMb: number) {
    const config = parse((await stack.files.read(CONFIG)) ?? '') as Record<string, object>;
    const instances = { ...config['instances'], spareMemoryMb };
    await stack.files.write(CONFIG, stringify({ ...config, instances }));
    await sidecar.restartReady();
  }

  const spares = ({ admin }: TestEnvironment) =>
    admin.read<SpareRow>('microsaas.spare', [], ['number', 'state']);
  const sell = async ({ admin, shop }: TestEnvironment) =>
    shop.sell([{ product }], { partner_id: await admin.create('res.partner', ANA) });
  const ready = (env: TestEnvironment) =>
    eventually(async () => {
      const [spare, ...others] = await spares(env);
      expect(others).to.deep.equal([]);
      expect(spare).to.include({ state: 'ready' });
      return spare as SpareRow;
    }, 300);

  before(async () => {
    const { admin, shop } = theEnvironment();
    // Those of other chapters were sold lately, and there is memory for one spare.
    const plans = await admin.read('product.product', [['es_plan_microsaas', '=', true]], ['id']);
    await admin.call('product.product', 'write', [
      plans.map(({ id }) => id),
      { microsaas_spares: 0 },
    ]);
    await keepSpares(theEnvironment(), 200);
    product = await shop.plan({ name: 'Ready' });
  });

  scenario('a plan’s spare becomes the instance of who pays, as it runs', async (env) => {
    await env.admin.call('product.product', 'write', [[product], { microsaas_spares: 1 }]);
    const spare = await ready(env);
    const [before] = await env.containersOf(spare.number);
    expect(before?.State.Running).to.equal(true);
    const ofNumber = await env.instances.find([['id', '=', spare.number]]);
    expect(ofNumber, 'no instance yet').to.deep.equal([]);

    const invoice = await sell(env);
    const [row] = await env.instances.running(invoice, 1);
    expect(row?.id).to.equal(spare.number);
    const [after] = await env.containersOf(spare.number);
    expect(after?.Id, 'the same container').to.equal(before?.Id);
    expect(after?.State.StartedAt, 'not started again').to.equal(before?.State.StartedAt);
    expect(row?.log).to.match(/hand-over/);
    if (!row) return;
    const { login, password } = await env.sidecar.secret(row.id);
    expect(login).to.equal(ANA.email);
    expect(await logIn(env, row, login, password)).to.be.greaterThan(0);
    // Before the audit, which is for what is at rest.
    await ready(env);
  });

  scenario(
    'the sidecar is killed while one is handed over: it is the instance of who has paid, and of nobody else',
    async (env) => {
      for (const delay of [0, 150]) {
        const spare = await ready(env);
        const [before] = await env.containersOf(spare.number);
        let invoice = 0;
        await killedAt(env.sidecar, stepOf(spare.number, 'handOver'), delay, async () => {
          invoice = await sell(env);
        });
        const [row] = await env.instances.running(invoice, 1);
        if (!row) throw new Error('nothing runs');
        expect(row.id).to.equal(spare.number);
        const [after] = await env.containersOf(spare.number);
        expect(after?.Id, 'the same container').to.equal(before?.Id);
        const { login, password } = await env.sidecar.secret(row.id);
        expect(await logIn(env, row, login, password)).to.be.greaterThan(0);
      }
    },
  );

  scenario('the sidecar is killed while one is made: the next one finishes it', async (env) => {
    const isMaking = (line: LogLine) =>
      line['spare'] !== undefined && line['step'] === 'createDatabase';
    const { number } = await ready(env);
    // Its container is there by then, and the pages that its customer will open have not all been opened.
    await killedAt(env.sidecar, isMaking, 3_000, () => sell(env));
    expect((await ready(env)).number).to.be.greaterThan(number);
  });

  scenario(
    'the next one is made once nobody starts any more, and goes with the setting',
    async (env) => {
      const next = await ready(env);
      expect(await env.containersOf(next.number)).to.have.length(1);
      await env.admin.call('product.product', 'write', [[product], { microsaas_spares: 0 }]);
      await keepSpares(env, 0);
      await eventually(async () => expect(await spares(env)).to.deep.equal([]));
      expect(await env.containersOf(next.number)).to.deep.equal([]);
    },
  );
});
