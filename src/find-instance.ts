import { UsageError } from './errors.ts';
import type { InstanceState } from './instance/types.ts';
import { printable } from './printable.ts';

/** What identifies an instance to an operator. */
export interface ListedInstance {
  readonly id: number;
  readonly name: string;
  readonly state: InstanceState;
  /** Of a staging copy, whose name holds the original's. */
  readonly copyOf?: object | null;
}

/** How many of several matches are named. */
const MAX_NAMED = 10;

/**
 * Resolves an operator's argument to an instance: by its id, its name, or an unambiguous part of the name. Names are labels and
 * need not be unique; among several matches, those that are not removed are preferred, and
 * for a part of a name an original to its staging copy.
 * @throws UsageError when none or several match
 */
export function findInstance<T extends ListedInstance>(wanted: string, all: readonly T[]): T {
  if (/^\d+$/.test(wanted)) {
    const found = all.find(({ id }) => id === Number(wanted));
    if (found) return found;
    throw new UsageError(`no instance ${wanted}; microsaas ps lists them`);
  }
  const name = folded(wanted);
  const ways = [
    (it: T) => it.state !== 'removed' && folded(it.name) === name,
    (it: T) => folded(it.name) === name,
    (it: T) => it.state !== 'removed' && !it.copyOf && folded(it.name).includes(name),
    (it: T) => it.state !== 'removed' && folded(it.name).includes(name),
    (it: T) => folded(it.name).includes(name),
  ];
  for (const way of ways) {
    const [found, ...others] = all.filter(way);
    if (found && others.length === 0) return found;
    if (found) throw new UsageError(severalFit(wanted, [found, ...others]));
  }
  throw new UsageError(`no instance named “${printable(wanted)}”; microsaas ps lists them`);
}

function folded(name: string): string {
  return name.normalize('NFKD').replaceAll(/\p{M}/gu, '').trim().toLowerCase();
}

function severalFit(wanted: string, found: readonly ListedInstance[]): string {
  const lines = found.slice(0, MAX_NAMED).map(({ id, name }) => `  ${id}  ${printable(name)}`);
  const rest = found.length > MAX_NAMED ? [`  and ${found.length - MAX_NAMED} more`] : [];
  const title = `${found.length} instances fit “${printable(wanted)}”; give the number of one:`;
  return [title, ...lines, ...rest].join('\n');
}
