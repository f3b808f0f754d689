import type { Config } from './config.ts';
import { describeLost, instanceIdsOnHost, type LostInstance } from './controller/manager-check.ts';
import { ConfigError } from './errors.ts';
import { checkManagerHistory, DISTRUST_MESSAGES } from './instance/manager-history.ts';
import { isOwnMark } from './instance/own-mark.ts';
import type { DesiredInstance, MarkedInstance } from './instance/types.ts';
import { assemble, type Sidecar } from './wiring.ts';

/** What is on the host under one instance id, compared with Odoo's record of it. */
interface Found extends LostInstance {
  readonly running: boolean;
  /** It has a database or containers: a missing database is then an error, not a reason to create one. */
  readonly hasData: boolean;
  /** `lost`: Odoo has no record of it. `taken`: Odoo's record of this id is another instance. */
  readonly record: 'its own' | 'lost' | 'taken';
}

/**
 * Compares this host with the manager's database, after that was restored from an older backup or replaced (ADR 12).
 * @param confirm a person has confirmed: lost instances get their record again, under their id and identity, and the sidecar
 * trusts this database from now on
 * @returns lines for the operator
 */
export async function reconcileHost(config: Config, confirm: boolean): Promise<string[]> {
  const sidecar = await assemble(config);
  const { engine, install, manager, managerMemory } = sidecar;
  const found = await inspectHost(sidecar);
  const facts = await manager.handshake(install);
  if (facts.installId !== install)
    throw new ConfigError(`the manager belongs to install ${facts.installId}, this is ${install}`);
  const memory = await managerMemory.read();
  const highest = Math.max(0, ...found.map(({ id }) => id));
  const distrust = checkManagerHistory(memory, facts, highest);
  const mismatched = found.filter(({ record }) => record !== 'its own');
  const lines = [
    distrust
      ? DISTRUST_MESSAGES[distrust]
      : "the manager's database is the one this host works for",
    ...mismatched.map((it) => `${describeLost(it, engine)} (${RECORD_LABEL[it.record]})`),
  ];
  if (!confirm) return [...lines, ...(distrust || mismatched.length > 0 ? [CONFIRM_HINT] : [])];

  const marked = mismatched.flatMap(recordFor);
  const adopted = new Set(await manager.adopt(marked));
  const { checkpoint, databaseUuid, highestInstance } = await manager.handshake(install);
  await managerMemory.write({
    databaseUuid,
    checkpoint,
    highestInstance: Math.max(highestInstance, memory?.highestInstance ?? 0, highest),
    distrust: null,
  });
  return [
    ...lines,
    ...mismatched.map(({ id }) =>
      adopted.has(id)
        ? `${id}: has its record in Odoo again; check its customer, invoice and dates there`
        : `${id}: left as it is; a person must look`,
    ),
    'confirmed: the sidecar goes on within a minute',
  ];
}

/**
 * What Odoo makes a record of again; none of what has no mark that can be read, none of a staging copy: with a record of its own it would be
 * a customer's, and would run with a way out; and none of a spare, which is nobody's.
 */
export function recordFor({ hasData, marked, running }: Found) {
  return marked && !marked.isCopy && !marked.isSpare ? [{ ...marked, running, hasData }] : [];
}

const RECORD_LABEL = {
  'its own': '',
  lost: 'not in Odoo',
  taken: "Odoo's record of this number is another",
};

const CONFIRM_HINT =
  'with --confirm each of these gets its record in Odoo again, under its number, and the sidecar goes on';

async function inspectHost({ databases, engine, manager }: Sidecar): Promise<Found[]> {
  const [containers, ids, withDatabase] = await Promise.all([
    engine.list(),
    instanceIdsOnHost({ databases, engine }),
    databases.numbers(),
  ]);
  const known = [...(await manager.desired(ids)), ...(await manager.spares())];
  const rows = new Map(known.map((row) => [row.id, row]));
  return Promise.all(
    ids.map(async (id) => {
      const marked = await engine.marked(id);
      const running = containers.get(id)?.running ?? false;
      const hasData = containers.has(id) || withDatabase.includes(id);
      return { id, marked, running, hasData, record: recordOf(marked, rows.get(id)) };
    }),
  );
}

/** What has no identity mark is older than the marks: its id is all there is to compare. */
export function recordOf(
  marked: MarkedInstance | null,
  row: DesiredInstance | undefined,
): Found['record'] {
  if (row === undefined) return 'lost';
  return marked && !isOwnMark(marked, row) ? 'taken' : 'its own';
}
