import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { ForeignBackups } from '../../../src/backups/foreign-backups.ts';
import { InstanceDirs } from '../../../src/files/instance-dir.ts';
import type { Backup, RestoreSource } from '../../../src/interfaces.ts';
import type { Repository } from '../../../src/restic/restic.ts';
import { anInstance, identityOf } from '../../support/samples.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const NAME = 'xyz789-7-11112222';
const SNAPSHOT = 'a'.repeat(64);
const BACKUP: Backup = {
  ...{ snapshot: SNAPSHOT, date: new Date(), bytes: 1, isByHand: false },
  ...{ proof: 'data', proofDate: new Date(), reason: '', detail: '' },
};

describe('ForeignBackups', () => {
  const dataDir = temporaryFolder();
  const { signal } = new AbortController();
  const instance = anInstance({ id: 12, templateCode: 'here' });
  let image: string;
  /** What the repository was opened with. */
  let opened: { base: string; repository: Repository; key: string; mode: number } | null;

  const place = () => ({
    repository: join(dataDir(), 'moved', NAME),
    escrow: join(dataDir(), 'moved', 'escrow.json'),
  });
  const fetched = (from = place()) => {
    const backups = new ForeignBackups({
      ...{ install: 'abc123', dirs: new InstanceDirs(dataDir()), folder: join(dataDir(), 'keys') },
      tools: { restore: async () => {} },
      odooOf: async () => 19,
      storeOf: (base, repository) => ({
        list: async () => {
          const { keyFile } = repository;
          const mode = (await stat(keyFile)).mode & 0o777;
          opened = { base, repository, key: await readFile(keyFile, 'utf8'), mode };
          return [BACKUP];
        },
        inRestored: async (_of, _snapshot, until, work) => {
          const folder = join(dataDir(), 'restored');
          await mkdir(folder, { recursive: true });
          const manifest = {
            ...{
              format: 1,
              install: 'xyz789',
              instance: 7,
              identity: identityOf(7),
              name: 'Seven',
            },
            ...{ template: 'theirs', modules: [], image, database: 'ms_xyz789_7' },
            ...{ url: 'https://seven.example.net', writtenAt: new Date().toISOString(), rows: {} },
          };
          await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
          return work(folder, until);
        },
      }),
    });
    const choose = ([one]: readonly Backup[]) => one as Backup;
    return backups.fetched(instance, from, choose, signal, async (source) => source);
  };
  const failureOf = (work: Promise<RestoreSource>) =>
    work.then(
      () => 'done',
      (error) => error.reason ?? error.message,
    );

  beforeEach(async () => {
    [image, opened] = ['odoo:19.0', null];
    await mkdir(place().repository, { recursive: true });
    await writeFile(join(place().repository, 'config'), '');
    await writeFile(place().escrow, JSON.stringify({ keys: { [NAME]: 'their key' } }));
  });

  it('opens the repository with its own key, which only the sidecar reads and which is gone afterwards', async () => {
    await fetched();
    expect(opened).to.deep.include({ base: join(dataDir(), 'moved'), key: 'their key\n' });
    expect(opened?.repository.name).to.equal(NAME);
    expect(opened?.mode).to.equal(0o600);
    expect(await readdir(join(dataDir(), 'keys'))).to.deep.equal([]);
  });

  it('gives the data of another’s identity, with the template of the instance that takes them', async () => {
    const source = await fetched();
    expect(source.owner).to.deep.equal({ id: 7, identity: identityOf(7) });
    expect(source.template).to.equal('here');
    expect(source.url).to.equal('https://seven.example.net');
  });

  it('says what is missing: the repository, the escrow file, its key', async () => {
    const none = join(dataDir(), 'none');
    expect(await failureOf(fetched({ ...place(), repository: none }))).to.equal(
      `--from: expected the folder of a repository, found ${none}`,
    );
    expect(await failureOf(fetched({ ...place(), escrow: none }))).to.equal(
      `${none}: expected an escrow file, found none`,
    );
    await writeFile(place().escrow, JSON.stringify({ keys: {} }));
    expect(await failureOf(fetched())).to.equal(
      `${place().escrow}: expected the key of ${NAME}, found none of that name`,
    );
    expect(opened).to.equal(null);
  });

  it('refuses data of another Odoo, be it newer or older', async () => {
    image = 'odoo:20.0';
    expect(await failureOf(fetched())).to.equal('BackupOdooNewer');
    image = 'odoo:18.0';
    expect(await failureOf(fetched())).to.equal(
      "--from: expected data of Odoo 19, as the instance's template has it; found those of Odoo 18",
    );
  });
});
