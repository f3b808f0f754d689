import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TerminalError } from '../errors.ts';

/** What a backup holds, in its file `manifest.json`. */
const manifestSchema = z.object({
  format: z.literal(1),
  install: z.string(),
  /** 0: the manager. */
  instance: z.int().nonnegative(),
  identity: z.uuid(),
  name: z.string(),
  template: z.string(),
  modules: z.array(z.string()),
  /** Of the image of Odoo: its pin (ADR 16); in backups of earlier versions its template's tag. */
  image: z.string(),
  /** The major version of that Odoo. Missing in backups of earlier versions. */
  odoo: z.int().positive().nullish(),
  /** Of the database and of its folder in the filestore. */
  database: z.string(),
  /** Where the instance was. */
  url: z.string(),
  writtenAt: z.iso.datetime(),
  /** How many rows some tables had at that moment. */
  rows: z.record(z.string(), z.int().nonnegative()),
  /** What of the files is not in it: how many files and folders, and how the paths of some begin. */
  leftOut: z.object({ count: z.int(), paths: z.array(z.string()).readonly() }).optional(),
});

export type BackupManifest = z.infer<typeof manifestSchema>;

/** Where a backup's parts are below the folder into which it was restored. */
export function partsOf(folder: string) {
  return {
    dump: join(folder, 'database.dump'),
    /** Holds the instance's own folder, called as its database: see filestoreOf(). */
    filestores: join(folder, 'filestores'),
    secrets: join(folder, 'secrets'),
    manifest: join(folder, 'manifest.json'),
  };
}

/**
 * The folder of an instance's files in a backup that was restored. A tenant may have put something else in its place.
 * @throws TerminalError('BackupDamaged') unless it is a folder: a link, which restic keeps as one, could lead anywhere
 */
export async function filestoreOf(
  folder: string,
  { database }: Pick<BackupManifest, 'database'>,
): Promise<string> {
  const path = join(partsOf(folder).filestores, database);
  const isFolder = await lstat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (isFolder) return path;
  const message = 'The backup has no folder of files.';
  throw new TerminalError('BackupDamaged', message, { detail: 'filestore' });
}

/**
 * Reads the manifest of a backup that was restored into a folder.
 * @param identity of the instance that it must be of; null: of whichever
 * @throws TerminalError('BackupDamaged') where it is none, ('BackupForeign') where it is another instance's
 */
export async function readManifest(
  folder: string,
  identity: string | null,
): Promise<BackupManifest> {
  const text = await readFile(partsOf(folder).manifest, 'utf8').catch(() => '');
  let manifest: BackupManifest;
  try {
    manifest = manifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    const message = 'The backup has no manifest that can be read.';
    throw new TerminalError('BackupDamaged', message, { cause, detail: 'manifest.json' });
  }
  if (identity !== null && manifest.identity !== identity)
    throw new TerminalError('BackupForeign', "The backup is another instance's.");
  return manifest;
}
