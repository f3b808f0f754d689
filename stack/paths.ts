import { join } from 'node:path';

/** The checkout this file stands in; absolute. */
export const repository = join(import.meta.dirname, '..');

/**
 * A path below `var/`, where everything made at run time lives (never committed).
 * @param parts path segments below `var/`
 */
export function varPath(...parts: string[]): string {
  return join(repository, 'var', ...parts);
}
