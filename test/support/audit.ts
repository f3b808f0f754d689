import { expect } from 'chai';
import { isProgress } from '../../src/instance/reasons.ts';
import { areSameButLimits, filesFor } from '../fakes/engine.ts';
import { type Row, unitsSold } from '../fakes/manager.ts';
import type { Simulation } from './simulation.ts';

type Fakes = Pick<Simulation, 'manager' | 'engine' | 'databases'>;

/**
 * Checks the invariants that hold at every moment, whatever has been interrupted: I1 no instance twice or without a payment,
 * I2 nothing without its record, or that of a spare, I3 nothing shared, I4 no data lost, I10 no customer's data with another one,
 * I11 nobody has a spare that is not theirs.
 */
export function audit({ manager, engine, databases }: Fakes): void {
  const rows = [...manager.rows.values()];
  expectUnique('unit', rows, (row) => row.unit && `${row.unit.lineId}/${row.unit.unit}`);
  const all = [...rows, ...manager.spareRows.values()];
  expectUnique('number', all, ({ id }) => id);
  expectUnique('http port', all, (row) => row.ports?.http ?? null);
  expectUnique('longpolling port', all, (row) => row.ports?.longpolling ?? null);
  const up = [...engine.projects].filter(([, project]) => project.ports !== null);
  expectUnique('published port', up, ([, project]) => project.ports?.http ?? null);
  const known = new Set(all.map(({ id }) => id));
  for (const id of [...engine.projects.keys(), ...databases.present])
    expect(known.has(id), `instance ${id} has a record`).to.equal(true);
  for (const row of rows)
    if (row.wasReady && !row.subscription?.dataRemovedAt && !isEndedCopy(row))
      expect(databases.present.has(row.id), `data of ${row.id}`).to.equal(true);
  auditIdentities({ manager, engine, databases });
  auditSpares({ manager, databases });
}

/** I11: a spare is nobody's, nobody can log in to one that is ready, and no customer is told of one that is nobody's still. */
function auditSpares({ manager, databases }: Pick<Fakes, 'manager' | 'databases'>): void {
  for (const { id, spareState } of manager.spareRows.values()) {
    if (databases.present.has(id))
      expect(databases.madeFor.get(id), `whose the spare ${id} is`).to.equal(null);
    if (spareState !== 'ready') continue;
    expect(databases.present.has(id), `data of the spare ${id}`).to.equal(true);
    expect(databases.rehearsed.has(id), `the spare ${id} lets somebody in`).to.equal(false);
  }
  for (const { id, wasReady } of manager.rows.values())
    if (wasReady)
      expect(databases.madeFor.get(id), `whose the data of ${id} are`).not.to.equal(null);
}

/** I10: directory, database and containers of every instance that has run have its identity mark, and no two share one. */
function auditIdentities({ manager, engine, databases }: Fakes): void {
  const rows = [...manager.rows.values()];
  expectUnique('identity', [...rows, ...manager.spareRows.values()], ({ identity }) => identity);
  for (const { id, identity, wasReady } of rows) {
    const project = engine.projects.get(id);
    const marks = [project?.mark?.identity, databases.marks.get(id), project?.containersMark];
    const found = marks.filter((mark) => mark !== undefined && mark !== null);
    if (wasReady) for (const mark of found) expect(mark, `mark of ${id}`).to.equal(identity);
  }
}

/** Where desired, actual and reported state differ (I1, I5), and how many spares are missing; empty when all agree. */
export function differences({
  manager,
  engine,
  spareMemoryMb,
}: Fakes & Pick<Simulation, 'spareMemoryMb'>): string[] {
  const found: string[] = [];
  for (const { id, spareContent, spares } of manager.forSale.values()) {
    const own = [...manager.spareRows.values()].filter(({ planId }) => planId === id);
    const ready = own.filter(
      (it) =>
        it.spareState === 'ready' &&
        it.content === spareContent &&
        engine.projects.get(it.id)?.containers === 'running',
    );
    const wanted = spareMemoryMb > 0 ? spares : 0;
    if (ready.length !== wanted || own.length !== wanted)
      found.push(`plan ${id}: ${ready.length} of ${wanted} spares ready, ${own.length} there`);
  }
  const rows = [...manager.rows.values()];
  for (const invoice of manager.invoices.values()) {
    const isPaid = invoice.paymentState === 'paid' && invoice.hold === '';
    for (const line of isPaid ? invoice.lines : []) {
      const claimed = rows.filter(({ unit }) => unit?.lineId === line.id).length;
      if (claimed !== unitsSold(line))
        found.push(`invoice ${invoice.id}: ${claimed} of ${unitsSold(line)} units claimed`);
    }
  }
  for (const row of rows) {
    const is = reality(engine, row);
    if (is !== row.desiredState) found.push(`${row.id}: wanted ${row.desiredState}, is ${is}`);
    if (row.state !== row.desiredState) found.push(`${row.id}: Odoo says ${row.state}`);
    if (isProgress(row.reason)) found.push(`${row.id}: Odoo says that it is ${row.reason}`);
    const isPaidFor = row.copyOf !== null || row.subscription?.state === 'active';
    if (row.desiredState === 'running' && !isPaidFor)
      found.push(`${row.id}: subscription ${row.subscription?.state}`);
    if (row.active !== (row.desiredState !== 'removed')) found.push(`${row.id}: active`);
  }
  return found;
}

/** Its data go with it. */
function isEndedCopy({ copyOf, desiredState }: Row): boolean {
  return copyOf !== null && desiredState === 'removed';
}

function reality(engine: Fakes['engine'], row: Row): string {
  const project = engine.projects.get(row.id);
  const containers = project?.containers ?? 'none';
  if (row.desiredState === 'draft' && containers === 'none') return 'draft';
  if (row.desiredState === 'removed') return containers === 'none' ? 'removed' : containers;
  if (row.isAsleep && containers === 'stopped') return 'running';
  if (containers !== 'running') return containers === 'paused' ? 'paused' : 'stopped';
  // A requested restart that is still pending will recreate the containers.
  const isCurrent =
    project !== undefined &&
    areSameButLimits(project.madeFrom, filesFor(row)) &&
    project.isAnswering;
  return isCurrent ? 'running' : 'starting';
}

function expectUnique<T>(
  what: string,
  things: readonly T[],
  of: (thing: T) => string | number | null,
): void {
  const values = things.map(of).filter((value) => value !== null);
  expect(new Set(values).size, `two have the same ${what}`).to.equal(values.length);
}
