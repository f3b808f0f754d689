import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import { repository } from '../../stack/paths.ts';
import { run } from '../../stack/run.ts';
import { bundle } from '../../stack/sidecar-bundle.ts';
import { ensureSidecarImage } from '../../stack/sidecar-image.ts';
import { temporaryFolder } from '../support/temporary.ts';

/** The beginning of both programs: an instance whose files belong to Odoo's user, with a file and a setuid file. */
const AN_INSTANCE = `
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { appendFile, chmod, chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { ArchiveStore } from './backups/archives.ts';
import { InstanceDirs } from './files/instance-dir.ts';
import { isDiskFull } from './errors.ts';

const dirs = new InstanceDirs('/data');
const odoo = { uid: 101, gid: 101 };
await dirs.prepare(7, { odoo, postgres: null, isNew: true });
await dirs.makeSecrets(7);
await dirs.write(7, { conf: 'old', compose: 'old' }, odoo);
const file = dirs.paths(7).filestore + '/file';
await writeFile(file, randomBytes(60_000));
await chown(file, 101, 101);
await chmod(file, 0o6700);
const never = new AbortController().signal;
const outcome = (work) => work.then(() => 'done', (error) => (isDiskFull(error) ? 'full' : String(error)));
const said = {};
`;

/** Writes the files again on a full disk. */
const WITHOUT_ROOM = `
for (let hasSpace = true; hasSpace; )
  await appendFile('/data/ballast', Buffer.alloc(1024)).catch(() => { hasSpace = false; });
said.files = await outcome(dirs.write(7, { conf: 'n'.repeat(40_000), compose: 'new' }, odoo));
said.conf = await readFile(dirs.paths(7).conf, 'utf8');
said.compose = await readFile(dirs.paths(7).compose, 'utf8');
said.etc = await readdir(dirs.paths(7).etc);
console.log(JSON.stringify(said));
`;

/** Removes the files, and restores them from an archive as earlier versions have written them. */
const THERE_AND_BACK = `
const folder = '/data/archives/7-20261124T101500Z';
await mkdir(folder, { recursive: true });
execFileSync('tar', ['--create', '--numeric-owner', '--file=' + folder + '/files.tar',
  '--directory=' + dirs.paths(7).directory, 'docker-compose.yml', 'etc', 'filestore', 'secrets']);
await writeFile(folder + '/database.dump', 'dump');
const sha256 = async (name) => createHash('sha256').update(await readFile(folder + '/' + name)).digest('hex');
await writeFile(folder + '/manifest.json', JSON.stringify({
  format: 1, install: 'abc123', instance: 7, name: 'a', template: 'odoo', modules: [], database: 'ms_abc123_7',
  writtenAt: '', sha256: { database: await sha256('database.dump'), files: await sha256('files.tar') },
}));
await dirs.remove(7);
said.isThere = await dirs.exists(7);
const archives = new ArchiveStore({ install: 'abc123', dataDir: '/data', dirs, tools: {} });
const archive = await archives.read('7-20261124T101500Z');
said.unpack = await outcome(archives.unpack(archive, 7, never));
const { uid, gid, mode } = await stat(file);
said.file = [uid, gid, (mode & 0o7777).toString(8)];
console.log(JSON.stringify(said));
`;

interface Service {
  readonly cap_add: readonly string[];
}

describe("the sidecar's container and an instance's files", function () {
  this.timeout(120_000);
  const folder = temporaryFolder();

  /** Runs a program in the sidecar's image with its rights in the stack, on a disk of a given size. */
  async function inSidecar(program: string, size: string): Promise<unknown> {
    const image = await ensureSidecarImage();
    const text = await readFile(join(repository, 'deploy', 'docker-compose.yml'), 'utf8');
    const { services } = parse(text, { merge: true }) as { services: { sidecar: Service } };
    const rights = services.sidecar.cap_add.map((it) => `--cap-add=${it}`);
    const bounds = ['--read-only', '--cap-drop=ALL', ...rights, '--security-opt=no-new-privileges'];
    const disk = ['--tmpfs', `/data:size=${size},mode=0700`, '--network', 'none'];
    const file = join(folder(), 'program.mjs');
    const sources = join(repository, 'src');
    await bundle({ contents: program, resolveDir: sources }, file);
    const mount = ['--mount', `type=bind,source=${file},target=/program.mjs,readonly`];
    const node = ['--entrypoint', 'node', '--', image, '/program.mjs'];
    return JSON.parse(await run('docker', ['run', '--rm', ...bounds, ...disk, ...mount, ...node]));
  }

  it('has the capabilities it needs for files of other users, and no more', async () => {
    expect(await inSidecar(AN_INSTANCE + THERE_AND_BACK, '10m')).to.deep.equal({
      isThere: false,
      unpack: 'done',
      file: [101, 101, '6700'],
    });
  });

  it('keeps the old files intact on a full disk, and leaves no partial ones', async () => {
    expect(await inSidecar(AN_INSTANCE + WITHOUT_ROOM, '200k')).to.deep.equal({
      files: 'full',
      conf: 'old',
      compose: 'old',
      etc: ['odoo.conf'],
    });
  });
});
