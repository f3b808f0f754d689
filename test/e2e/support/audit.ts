import { expect } from 'chai';
import { showsLogin } from '../../../src/engine/readiness-probe.ts';
import { instanceOf, lines } from './docker.ts';
import type { TestEnvironment } from './environment.ts';
import { eventually } from './eventually.ts';
import { INSTANCE, idOf, type Row } from './instances.ts';
import { auditMarks } from './marks.ts';
import { auditSecrets } from './secrets.ts';

/**
 * Checks the invariants on the real parts: I1-I4 and I6-I8 immediately, I5 as soon as a poll has seen what was done.
 * For the end of each scenario, when no button is pressed any more.
 */
export async function audit(env: TestEnvironment): Promise<void> {
  const since = env.auditedAt;
  const began = new Date();
  const rows = await env.instances.find([]);
  await eventually(async () => auditReality(env));
  await quiet(env);
  await auditUnits(env, rows);
  await auditMarks(env, await env.instances.find([]));
  await auditSecrets(env, rows, since);
  await auditTwice(
    env,
    rows.filter(({ id }) => id > env.settled),
  );
  await env.decoys.expectUntouched();
  env.auditedAt = began;
}

interface SoldLine {
  id: number;
  quantity: number;
  move_id: [number, string];
}

/** I1: one instance for each whole paid unit of an automatic plan, none for what is not paid. */
async function auditUnits(env: TestEnvironment, rows: Row[]): Promise<void> {
  const paid = [
    ['move_id.move_type', '=', 'out_invoice'],
    ['parent_state', '=', 'posted'],
    ['move_id.payment_state', 'in', ['paid', 'in_payment']],
  ];
  const sold = await env.admin.read<SoldLine>(
    'account.move.line',
    [
      ...paid,
      ['display_type', '=', 'product'],
      ['product_id.es_plan_microsaas', '=', true],
      ['product_id.microsaas_provision', '=', 'automatic'],
      ['suscripcion_id', '=', false],
      ['move_id.microsaas_hold', '=', false],
      ['price_subtotal', '>=', 0],
    ],
    ['quantity', 'move_id'],
  );
  for (const line of sold) {
    const claimed = rows.filter((row) => idOf(row.linea_factura_id) === line.id);
    const expected = Array.from(
      { length: Math.max(0, Math.floor(line.quantity)) },
      (_, i) => i + 1,
    );
    const units = claimed.map((row) => row.unidad).sort((a, b) => a - b);
    expect(units, `units of ${line.move_id[1]}`).to.deep.equal(expected);
  }
  const invoices = rows.map((row) => idOf(row.factura_id)).filter(Boolean);
  const unpaid = await env.admin.read(
    'account.move',
    [
      ['id', 'in', invoices],
      ['payment_state', 'not in', ['paid', 'in_payment', 'reversed']],
    ],
    ['name'],
  );
  expect(unpaid, 'instances of unpaid invoices').to.deep.equal([]);
}

/** I5: Odoo's state is the actual state. */
async function auditReality(env: TestEnvironment): Promise<void> {
  const rows = await env.instances.find([]);
  const containers = await env.containers();
  const sold = rows.filter((row) => row.staging_of_id === false);
  const subscriptions = await env.instances.subscriptions(sold);
  for (const row of rows) {
    const found = containers.filter((it) => instanceOf(it) === row.id);
    const up = found.filter((it) => it.State.Running).length;
    const what = `instance ${row.id} (${row.state}, wanted ${row.desired_state}): containers up`;
    if (row.state === 'error') {
      expect(row.reason, `reason of ${row.id}`).to.match(/^[A-Z][A-Za-z]+$/);
      expect(row.phase_message, `sentence of ${row.id}`).to.match(/\.$/);
      continue;
    }
    const subscription = subscriptions.get(row.id);
    expect(subscription === undefined, `${row.id} has none`).to.equal(row.staging_of_id !== false);
    const { data_removed_at, state, suspended_at } = subscription ?? OF_A_COPY;
    const isSuspended = suspended_at !== false && row.desired_state === 'running';
    const wanted = data_removed_at ? 'removed' : isSuspended ? 'stopped' : row.desired_state;
    expect(row.state, `state of ${row.id}: ${row.phase_message}`).to.equal(wanted);
    expect(row.active, `${row.id} is active`).to.equal(row.state !== 'removed');
    if (row.state === 'running') {
      expect(up, what).to.equal(found.length).and.to.be.greaterThan(0);
      const url = String(row.instance_url);
      const isShown = await (env.door ? env.door.showsLogin(url) : showsLogin(url));
      expect(isShown, `${row.instance_url}/web/login`).to.equal(true);
    } else expect(up, what).to.equal(0);
    if (row.state === 'removed' || row.state === 'draft') expect(found, what).to.be.empty;
    if (row.state === 'removed') expect([row.http_port, row.longpolling_port]).to.eql([0, 0]);
    if (row.log) expect(row.log.length).to.be.at.most(10_000);
    const expected = {
      draft: ['draft'],
      running: ['active', 'expiring_soon'],
      stopped: [isSuspended ? 'expired' : 'paused'],
      removed: ['removed', 'cancelled'],
    };
    if (subscription) expect(expected[row.state], `subscription of ${row.id}`).to.include(state);
  }
}

const OF_A_COPY = { data_removed_at: false, state: '', suspended_at: false } as const;

/** I7: a repetition of everything changes nothing (idempotence). @param rows those of this chapter: others were removed, and audited then */
async function auditTwice(env: TestEnvironment, rows: Row[]): Promise<void> {
  const before = await everything(env);
  const invoices = rows.map((row) => idOf(row.factura_id)).filter(Boolean);
  const ids = rows.filter((row) => row.state !== 'error').map((row) => row.id);
  expect(await env.sidecar.webhook({ model: INSTANCE, ids })).to.equal(202);
  expect(await env.sidecar.webhook({ model: 'account.move', ids: invoices })).to.equal(202);
  await quiet(env);
  const after = await everything(env);
  // What others wrote meanwhile is left out: each instance is reviewed once a day at a time of its own, what was measured of it is told
  // with the next sweep, and behind a door the first visit, which may be the audit's own, is written down.
  const now = utcNow();
  const measured = new Map(after.rows.map((row) => [row.id, row.use_measured_at]));
  const leftOut = new Map(
    before.rows.map(({ id, next_review, use_measured_at }) => {
      const isReviewed = next_review !== false && next_review <= now;
      const isWritten = isReviewed || use_measured_at !== measured.get(id) || env.door;
      return [
        id,
        {
          use_measured_at: '',
          ...(isReviewed ? { next_review: '' } : {}),
          ...(isWritten ? { write_date: '' } : {}),
        },
      ];
    }),
  );
  const [then, since] = [before, after].map(({ rows: found, lines: rest }) => [
    ...found.map((row) => JSON.stringify({ ...row, ...leftOut.get(row.id) })),
    ...rest,
  ]) as [string[], string[]];
  // Only the differences: a list of all instances would make the failure unreadable.
  expect(onlyIn(since, then), 'after doing everything twice').to.eql(onlyIn(then, since));
}

/** The time as Odoo's database has it, in UTC, to the second. */
function utcNow(): string {
  return new Date().toISOString().slice(0, 19).replace('T', ' ');
}

/** Waits until the sidecar is idle, and nothing is due in Odoo. */
async function quiet(env: TestEnvironment): Promise<void> {
  const now = utcNow();
  await eventually(async () => {
    const due = await env.instances.find([['next_review', '<=', now]]);
    expect(
      due.map(({ id }) => id),
      'instances whose review is due',
    ).to.eql([]);
  });
  await env.sidecar.idle();
}

/** The lines of `some` that are not in `others`. */
function onlyIn(some: readonly string[], others: readonly string[]): string[] {
  const known = new Set(others);
  return some.filter((line) => !known.has(line));
}

interface InstanceRow {
  readonly id: number;
  readonly next_review: string | false;
  readonly use_measured_at: string | false;
}

/** Everything that must not change when it is reconciled again: the records, and a line for each container and file. */
async function everything(env: TestEnvironment): Promise<{ rows: InstanceRow[]; lines: string[] }> {
  const rows = await env.admin.read<InstanceRow>(
    INSTANCE,
    [['state', '!=', 'error']],
    ['write_date', 'state', 'log', 'http_port', 'revision', 'next_review', 'use_measured_at'],
    { context: { active_test: false } },
  );
  const containers = await env.containers();
  const find = ['find', env.instancesDir, '-type', 'f', '-name', '*.yml'] as const;
  return {
    rows,
    lines: [
      ...containers.map(({ Name, Id, State }) => `${Name} ${Id} ${State.StartedAt}`),
      ...lines(await env.onHost(...find, '-printf', '%p %i %T@\n')),
    ],
  };
}
