import { ConfigError, TerminalError } from '../errors.ts';
import type { BackupManifest } from './backup-manifest.ts';

type OdooOfBackup = Pick<BackupManifest, 'image' | 'odoo'>;

/**
 * Odoo cannot go back: a database of a newer one breaks in an older one.
 * @param ours the major version of the Odoo that is to have the data; null: it is not known, as in a backup whose image did not say
 * @throws TerminalError('BackupOdooNewer')
 */
export function requireNotNewer(backup: OdooOfBackup, ours: number | null): void {
  const theirs = versionOf(backup);
  if (theirs === null || ours === null || theirs <= ours) return;
  throw new TerminalError('BackupOdooNewer', `it is of Odoo ${theirs}, and there is ${ours}`, {
    detail: [String(theirs), String(ours)],
  });
}

/**
 * An older database does not work in a newer Odoo either, unless it is upgraded first.
 * @param ours as above
 * @throws TerminalError('BackupOdooNewer'); ConfigError where it is of an older one
 */
export function requireSameOdoo(backup: OdooOfBackup, ours: number | null): void {
  requireNotNewer(backup, ours);
  const theirs = versionOf(backup);
  if (theirs === null || ours === null || theirs === ours) return;
  throw new ConfigError(
    `--from: expected data of Odoo ${ours}, as the instance's template has it; found those of Odoo ${theirs}`,
  );
}

/** Backups of earlier versions have the tag alone. */
function versionOf({ image, odoo }: OdooOfBackup): number | null {
  return odoo ?? majorOf(image);
}

/** The version in the name of an image, such as 19 of `odoo:19.0`; null where it names none. */
function majorOf(image: string): number | null {
  const [, major] = /:(\d+)(\.\d+)?(-|$)/.exec(image) ?? [];
  return major === undefined ? null : Number(major);
}
