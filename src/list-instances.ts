import { shownState } from './instance/shown-state.ts';
import type { DesiredInstance } from './instance/types.ts';
import { countedByState, instanceTable, type ListRow, problemOf } from './instance-table.ts';
import type { Sidecar } from './wiring.ts';

type Parts = Pick<Sidecar, 'manager' | 'engine' | 'memoryUse'>;

export interface ListOptions {
  /** Removed ones too. */
  readonly all?: boolean | undefined;
  /** Only those that need a person. */
  readonly problems?: boolean | undefined;
}

/** All instances that Odoo has, removed ones included. */
export async function allInstances({
  manager,
}: Pick<Sidecar, 'manager'>): Promise<DesiredInstance[]> {
  return manager.desired([...(await manager.states()).keys()]);
}

/**
 * The output of `microsaas ps`. While Docker is away it is of what Odoo has alone.
 * @param warn is told what is missing in it
 */
export async function listInstances(
  sidecar: Parts,
  { all, problems }: ListOptions,
  warn: (text: string) => void,
  now = new Date(),
): Promise<string> {
  const everything = await allInstances(sidecar);
  const wanted = everything.filter(({ state }) => all || problems || state !== 'removed');
  const ids = new Set(wanted.map(({ id }) => id));
  const away = (error: Error) => {
    warn(`${error.message} Containers and memory are not shown.`);
    return null;
  };
  const [told, containers, memory] = await Promise.all([
    sidecar.manager.told([...ids], 0),
    sidecar.engine.list().catch(away),
    sidecar.memoryUse((id) => ids.has(id)).catch(() => new Map<number, number>()),
  ]);
  const rows = wanted.map(
    (desired): ListRow => ({
      desired,
      since: told.get(desired.id)?.since ?? 0,
      memoryBytes: memory.get(desired.id) ?? null,
      listed: containers === null ? null : containers.get(desired.id),
    }),
  );
  if (!problems) return instanceTable(rows, now);
  const shown = rows.filter((row) => problemOf(row, now) !== null);
  if (shown.length > 0) return instanceTable(shown, now);
  const live = wanted.filter(({ state }) => state !== 'removed');
  return `No instance needs you: ${countedByState(live.map(shownState))}.\n`;
}
