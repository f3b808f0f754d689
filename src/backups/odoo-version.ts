import { TerminalError } from '../errors.ts';
import type { BackupManifest } from './backup-manifest.ts';

/**
 * Odoo cannot go back: a database of a newer one breaks in an older one.
 * @param ours the major version of the Odoo that is to have the data; null: it is not known, as in a backup whose image did not say
 * @throws TerminalError('BackupOdooNewer')
 */
export function requireNotNewer(
  { image, odoo }: Pick<BackupManifest, 'image' | 'odoo'>,
  ours: number | null,
): void {
  // Backups of earlier versions have the tag alone.
  const theirs = odoo ?? majorOf(image);
  if (theirs === null || ours === null || theirs <= ours) return;
  throw new TerminalError('BackupOdooNewer', `it is of Odoo ${theirs}, and there is ${ours}`, {
    detail: [String(theirs), String(ours)],
  });
}

/** The version in the name of an image, such as 19 of `odoo:19.0`; null where it names none. */
function majorOf(image: string): number | null {
  const [, major] = /:(\d+)(\.\d+)?(-|$)/.exec(image) ?? [];
  return major === undefined ? null : Number(major);
}
