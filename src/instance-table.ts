import type { DesiredInstance } from './instance/types.ts';
import { printable } from './printable.ts';

/** The widest column, in characters; longer text is truncated. */
const MAX_WIDTH = 40;

const COLUMNS = ['ID', 'NAME', 'STATE', 'REASON', 'ADDRESS', 'CUSTOMER'] as const;

/** The output of `microsaas ps`: a line per instance, those in error first. */
export function instanceTable(instances: readonly DesiredInstance[]): string {
  const rows = [...instances]
    .sort(byNeed)
    .map((it) => [
      String(it.id),
      it.name,
      it.state,
      it.reason,
      it.instanceUrl,
      it.customer.companyName,
    ]);
  const lines = [[...COLUMNS], ...rows.map((row) => row.map(cell))];
  const widths = COLUMNS.map((_, column) =>
    Math.max(...lines.map((line) => [...(line[column] ?? '')].length)),
  );
  return lines
    .map((line) => line.map((text, column) => padded(text, widths[column] ?? 0)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

function byNeed(one: DesiredInstance, other: DesiredInstance): number {
  return Number(other.state === 'error') - Number(one.state === 'error') || one.id - other.id;
}

function cell(text: string): string {
  const letters = [...printable(text)];
  if (letters.length === 0) return '-';
  return letters.length > MAX_WIDTH
    ? `${letters.slice(0, MAX_WIDTH - 1).join('')}…`
    : letters.join('');
}

function padded(text: string, width: number): string {
  return text + ' '.repeat(width - [...text].length);
}

/** Counts the instances by state, those in error first: `2 in error, 14 running`. */
export function countedByState(states: Iterable<DesiredInstance['state']>): string {
  const counts = new Map<string, number>();
  for (const state of states) counts.set(state, (counts.get(state) ?? 0) + 1);
  const order = ['error', 'running', 'stopped', 'draft', 'removed'];
  const said = order
    .filter((state) => counts.has(state))
    .map((state) => `${counts.get(state)} ${state === 'error' ? 'in error' : state}`);
  return said.join(', ') || 'none';
}
