import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../stack/run.ts';

/**
 * Writes an archive as versions before 0.5 did at the end of an instance's retention.
 * @param name `<instance>-<time>`
 * @param directory of the instance, with `docker-compose.yml`, `etc`, `filestore` and `secrets`
 * @param dump what pg_dump has written
 */
export async function writeOldArchive(
  { dataDir, install }: { readonly dataDir: string; readonly install: string },
  name: string,
  directory: string,
  dump: Buffer,
): Promise<void> {
  const folder = join(dataDir, 'archives', name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const files = join(folder, 'files.tar');
  const kept = ['docker-compose.yml', 'etc', 'filestore', 'secrets'];
  await run('tar', ['--create', `--file=${files}`, `--directory=${directory}`, '--', ...kept]);
  await writeFile(join(folder, 'database.dump'), dump);
  const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex');
  const [instance] = name.split('-');
  const manifest = {
    ...{ format: 1, install, instance: Number(instance), name: 'Luna' },
    ...{ template: 'odoo', modules: [], database: `ms_${install}_${instance}` },
    writtenAt: '2026-11-24T10:15:00.000Z',
    sha256: { database: sha256(dump), files: sha256(await readFile(files)) },
  };
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
}
