import { UsageError } from './errors.ts';

/**
 * For what takes something away from somebody.
 * @param consequence what would happen, and to whom
 * @throws UsageError unless the command was called with `--yes`
 */
export function requireYes(isConfirmed: boolean, consequence: string): void {
  if (!isConfirmed) throw new UsageError(`${consequence}. Say --yes if that is meant`);
}
