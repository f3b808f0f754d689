import { inWords, megabytes } from './ages.ts';
import { isPassing, SHOWN_STATES, type ShownState, shownState } from './instance/shown-state.ts';
import type { DesiredInstance } from './instance/types.ts';
import type { Listed } from './interfaces.ts';
import { printable } from './printable.ts';

/** The widest column, in characters; longer text is truncated. */
const MAX_WIDTH = 40;

/** How long what passes by itself may take before it needs a person, in seconds: modules of a new plan take minutes. */
const LONG_S = 15 * 60;

const COLUMNS = ['ID', 'NAME', 'CUSTOMER', 'STATE', 'SINCE', 'MEMORY', 'ADDRESS'] as const;

/** One instance of the list. */
export interface ListRow {
  readonly desired: DesiredInstance;
  /** Since when it is in its state, in seconds since the epoch; 0: nobody knows. */
  readonly since: number;
  /** Null: it uses none, or nobody could tell. */
  readonly memoryBytes: number | null;
  /** Its containers. Undefined: it has none; null: Docker did not answer. */
  readonly listed: Listed | undefined | null;
}

/** What about an instance needs a person, or null. Pure. */
export function problemOf({ desired, listed, since }: ListRow, now: Date): string | null {
  const shown = shownState(desired);
  if (shown === 'error') return `error: ${desired.reason}`;
  const seconds = since === 0 ? 0 : now.getTime() / 1000 - since;
  if (isPassing(shown)) return seconds > LONG_S ? `${shown}: ${desired.reason}` : null;
  if (listed === null) return null;
  if (shown === 'running' && !listed?.running) return 'running, its containers are not';
  const isToBeDown = shown === 'stopped' || shown === 'suspended' || shown === 'removed';
  return isToBeDown && listed?.up ? `${shown}, its containers are up` : null;
}

/** The output of `microsaas ps`: a line per instance, those first that need a person. */
export function instanceTable(rows: readonly ListRow[], now: Date): string {
  const cells = rows
    .map((row) => ({ row, problem: problemOf(row, now) }))
    .sort(
      (one, other) =>
        rank(one.problem) - rank(other.problem) || one.row.desired.id - other.row.desired.id,
    )
    .map(({ problem, row }) => [
      String(row.desired.id),
      row.desired.name,
      row.desired.customer.companyName,
      problem ?? stateInWords(row.desired),
      row.since === 0 ? '' : inWords(now.getTime() / 1000 - row.since),
      row.memoryBytes === null ? '' : megabytes(row.memoryBytes),
      row.desired.instanceUrl,
    ]);
  const lines = [[...COLUMNS], ...cells.map((row) => row.map(cell))];
  const widths = COLUMNS.map((_, column) =>
    Math.max(...lines.map((line) => [...(line[column] ?? '')].length)),
  );
  return lines
    .map((line) => line.map((text, column) => padded(text, widths[column] ?? 0)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** The state, with its step where one is under way. */
export function stateInWords(desired: DesiredInstance): string {
  const shown = shownState(desired);
  return shown === 'error' || isPassing(shown) ? `${shown}: ${desired.reason}` : shown;
}

function rank(problem: string | null): number {
  if (problem === null) return 2;
  return problem.startsWith('error') ? 0 : 1;
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
export function countedByState(states: Iterable<ShownState>): string {
  const counts = new Map<ShownState, number>();
  for (const state of states) counts.set(state, (counts.get(state) ?? 0) + 1);
  const said = SHOWN_STATES.filter((state) => counts.has(state)).map(
    (state) => `${counts.get(state)} ${state === 'error' ? 'in error' : state}`,
  );
  return said.join(', ') || 'none';
}
