import { expect } from 'chai';
import { run } from '../../stack/run.ts';
import { ensureSidecarImage } from '../../stack/sidecar-image.ts';

/** Runs in the sidecar's image on a disk of 200 kB: writes an instance's files and an archive, then again without room. */
const ON_A_SMALL_DISK = `
import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { ArchiveStore } from '/opt/microsaas/dist/engine/archives.js';
import { InstanceDirs } from '/opt/microsaas/dist/engine/instance-dir.js';
import { isDiskFull } from '/opt/microsaas/dist/errors.js';

const dirs = new InstanceDirs('/data');
const root = { uid: 0, gid: 0 };
await dirs.prepare(7, { odoo: root, postgres: null });
await dirs.secrets(7);
await dirs.write(7, { conf: 'old', compose: 'old' }, root);
await writeFile(dirs.paths(7).filestore + '/file', randomBytes(60_000));
const archives = new ArchiveStore({
  install: 'abc123', dataDir: '/data', dirs, disk: { checkRoom: async () => {} },
  tools: { dump: (_login, file) => writeFile(file, 'dump'), check: async () => 'TABLE DATA public res_users ' },
  loginOf: async () => ({}),
});
const never = new AbortController().signal;
const instance = (name) => ({
  id: 7, name, templateCode: 'odoo', modules: [],
  subscription: { hiddenAt: new Date('2026-11-24T10:15:00Z') },
});
const outcome = (work) => work.then(() => 'written', (error) => (isDiskFull(error) ? 'full' : String(error)));
const said = {};
await appendFile('/data/ballast', Buffer.alloc(80_000));
said.archive = await outcome(archives.write(instance('a'), never));
said.archives = await readdir('/data/archives');
for (let room = true; room; )
  await appendFile('/data/ballast', Buffer.alloc(1024)).catch(() => { room = false; });
said.files = await outcome(dirs.write(7, { conf: 'n'.repeat(40_000), compose: 'new' }, root));
said.conf = await readFile(dirs.paths(7).conf, 'utf8');
said.compose = await readFile(dirs.paths(7).compose, 'utf8');
said.etc = await readdir(dirs.paths(7).etc);
console.log(JSON.stringify(said));
`;

describe('a disk that is full', function () {
  this.timeout(120_000);

  it('leaves the old files whole, and no halves lying about', async () => {
    const image = await ensureSidecarImage();
    const disk = ['--tmpfs', '/data:size=200k,mode=0700', '--network', 'none'];
    const program = ['--input-type=module', '--eval', ON_A_SMALL_DISK];
    const said = await run('docker', [
      ...['run', '--rm', ...disk, '--entrypoint', 'node', '--', image],
      ...program,
    ]);
    expect(JSON.parse(said)).to.deep.equal({
      archive: 'full',
      archives: [],
      files: 'full',
      conf: 'old',
      compose: 'old',
      etc: ['odoo.conf'],
    });
  });
});
