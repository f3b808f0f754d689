import { TerminalError } from '../errors.ts';

/**
 * Odoo cannot go back: a database of a newer one breaks in an older one.
 * @param image that of the backup. @param present what there is
 * @throws TerminalError('BackupOdooNewer')
 */
export function requireNotNewer(image: string, present: string): void {
  const [theirs, ours] = [image, present].map(majorOf);
  if (theirs === undefined || ours === undefined || theirs <= ours) return;
  throw new TerminalError('BackupOdooNewer', `it is of ${image}, and there is ${present}`, {
    detail: [String(theirs), String(ours)],
  });
}

/** The version in the name of an image, such as 19 of `odoo:19.0`; undefined where it names none. */
function majorOf(image: string): number | undefined {
  const [, major] = /:(\d+)(\.\d+)?(-|$)/.exec(image) ?? [];
  return major === undefined ? undefined : Number(major);
}
