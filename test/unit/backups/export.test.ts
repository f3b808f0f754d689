import {
  lstat,
  mkdir,
  readdir,
  readFile,
  rmdir,
  stat,
  statfs,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Exporter, type ExporterOptions } from '../../../src/backups/export.ts';
import { CommandError, RetryableError } from '../../../src/errors.ts';
import { exec } from '../../../src/host/exec.ts';
import { until } from '../../../stack/until.ts';
import { anInstance } from '../../support/samples.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { filesInZip } from '../../support/zip-reader.ts';

const instance = anInstance({ id: 7 });
const never = new AbortController().signal;
const SHA = 'ab'.padEnd(40, '0');
const DUMP =
  '\\restrict k\nSET transaction_timeout = 0;\nCREATE TABLE public.note ();\n\\unrestrict k\n';

const MODULES = {
  ...{ odoo_dump: '1', db_name: 'ms_k3x9ab_7', version: '19.0', major_version: '19.0' },
  ...{ version_info: [19, 0, 0, 'final', 0, ''], pg_version: '17.0', modules: {} },
};

const DATABASE = 'ms_k3x9ab_7';

describe('an export', () => {
  const folder = temporaryFolder();
  const backup = { snapshot: 'ab12', bytes: 1000 };
  const restored = () => join(folder(), 'restored');
  const target = () => join(folder(), 'out', 'acme.zip');
  let closed: number;
  let wanted: number;

  /** @param change what does not go as it should */
  const exporter = (change: Partial<ExporterOptions> = {}) =>
    new Exporter({
      store: {
        inRestored: async (_desired, _snapshot, signal, work) => work(restored(), signal),
        inProofServer: async () => MODULES as never,
        close: async () => {
          closed += 1;
        },
      },
      disk: {
        checkRoom: async (bytes = 0) => {
          wanted = bytes;
        },
      },
      tools: { script: async (_dump, file) => writeFile(file, DUMP) },
      ...change,
    });
  const write = (one = exporter(), isForced = false, file = target()) =>
    one.write(instance, backup, { file, isForced }, () => {}, never);
  const errorOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => `${error.name} ${error.reason ?? ''} ${error.message}`,
    );
  const left = () => readdir(join(folder(), 'out'));

  beforeEach(async () => {
    closed = 0;
    wanted = 0;
    await mkdir(join(folder(), 'out'));
    await mkdir(join(restored(), 'filestores', DATABASE, 'ab'), { recursive: true });
    await writeFile(join(restored(), 'filestores', DATABASE, 'ab', SHA), 'a file');
    const manifest = {
      ...{ format: 1, install: 'k3x9ab', instance: 7, identity: instance.identity, name: 'Acme' },
      ...{ template: 'odoo', modules: [], image: 'odoo:19.0', database: DATABASE, rows: {} },
      ...{ url: 'https://acme.example.com', writtenAt: '2026-11-27T02:00:00.000Z' },
    };
    await writeFile(join(restored(), 'manifest.json'), JSON.stringify(manifest));
  });

  it('is a zip with manifest, database and files, which only its owner can read', async () => {
    await write();
    const files = filesInZip(await readFile(target()));
    expect([...files.keys()]).to.deep.equal(['manifest.json', 'dump.sql', `filestore/ab/${SHA}`]);
    expect(JSON.parse(String(files.get('manifest.json')))).to.deep.equal(MODULES);
    expect(String(files.get('dump.sql'))).to.equal('CREATE TABLE public.note ();\n');
    expect(String(files.get(`filestore/ab/${SHA}`))).to.equal('a file');
    expect((await stat(target())).mode & 0o777).to.equal(0o600);
    expect(await left()).to.deep.equal(['acme.zip']);
    expect({ closed, wanted }).to.deep.equal({ closed: 1, wanted: 4000 });
  });

  it('holds regular files with Odoo’s names alone, whatever lies in the filestore', async () => {
    const [filestore, secret] = [
      join(restored(), 'filestores', DATABASE),
      join(folder(), 'secret'),
    ];
    await writeFile(secret, 'secret');
    const named = (digit: string) => join(filestore, 'ab', 'ab'.padEnd(40, digit));
    await symlink(secret, named('1'));
    await exec(['mkfifo', '--', named('2')]);
    await mkdir(named('3'));
    await writeFile(join(filestore, 'ab', '..evil'), 'x');
    await mkdir(join(folder(), 'theirs'));
    await writeFile(join(folder(), 'theirs', 'cd'.padEnd(40, '0')), 'theirs');
    await symlink(join(folder(), 'theirs'), join(filestore, 'cd'));
    await mkdir(join(filestore, 'checklist'));
    await write();
    const names = [...filesInZip(await readFile(target())).keys()];
    expect(names.filter((name) => name.startsWith('filestore/'))).to.deep.equal([
      `filestore/ab/${SHA}`,
    ]);
  });

  it('replaces no file unless told, and nothing but a file then', async () => {
    await writeFile(target(), 'mine');
    expect(await errorOf(write())).to.match(/^ConfigError .*Say --force/);
    expect(await readFile(target(), 'utf8')).to.equal('mine');
    await write(exporter(), true);
    expect(filesInZip(await readFile(target()))).to.have.length(3);
    await symlink(join(folder(), 'elsewhere'), join(folder(), 'out', 'link.zip'));
    for (const name of ['.', 'link.zip']) {
      const place = join(folder(), 'out', name);
      expect(await errorOf(write(exporter(), true, place))).to.match(
        /^ConfigError .*something else/,
      );
    }
    const nowhere = join(folder(), 'none', 'a.zip');
    expect(await errorOf(write(exporter(), false, nowhere))).to.match(/^ConfigError .*a folder/);
  });

  it('leaves what somebody wrote there meanwhile', async () => {
    const script = async (_dump: string, file: string) => {
      await writeFile(file, DUMP);
      await writeFile(target(), 'theirs');
    };
    expect(await errorOf(write(exporter({ tools: { script } })))).to.match(
      /^ConfigError .*--force/,
    );
    expect(await readFile(target(), 'utf8')).to.equal('theirs');
    expect(await left()).to.deep.equal(['acme.zip']);
  });

  it('leaves nothing where it fails or is stopped half-way', async () => {
    const cut = async (_dump: string, file: string) => mkdir(file);
    expect(await errorOf(write(exporter({ tools: { script: cut } })))).to.match(/EISDIR/);
    expect(await left()).to.deep.equal([]);
    await rmdir(join(restored(), 'dump.sql'));
    // Nothing but a hole, which takes a while to be read.
    await truncate(join(restored(), 'filestores', DATABASE, 'ab', SHA), 8 * 2 ** 30);
    const stop = new AbortController();
    const place = { file: target(), isForced: false };
    const stopped = errorOf(exporter().write(instance, backup, place, () => {}, stop.signal));
    expect(await until(async () => (await left()).length === 1, 5, 10)).to.equal(true);
    stop.abort(new Error('SIGINT'));
    expect(await stopped).to.match(/abort/i);
    expect(await left()).to.deep.equal([]);
    expect(closed).to.equal(2);
  });

  it('is refused without room, on the sidecar’s disk and where it is to lie, before anything is made', async () => {
    const checkRoom = async () => {
      throw new RetryableError('NotEnoughDisk', 'too little');
    };
    const inRestored = async () => expect.fail('begun');
    const store = {
      inRestored,
      inProofServer: inRestored,
      close: async () => {},
    } as ExporterOptions['store'];
    expect(await errorOf(write(exporter({ disk: { checkRoom }, store })))).to.match(
      /NotEnoughDisk/,
    );
    const { bsize, blocks } = await statfs(folder());
    const huge = { ...backup, bytes: 2 * bsize * blocks };
    const place = { file: target(), isForced: false };
    const refused = exporter({ store }).write(instance, huge, place, () => {}, never);
    expect(await errorOf(refused)).to.match(/NotEnoughDisk .*are needed at/);
  });

  it('says that a dump is damaged, and that a disk has filled up', async () => {
    const failing = (stderr: string) => ({
      script: async () => {
        throw new CommandError(['docker', 'run'], 1, stderr);
      },
    });
    const damaged = failing('pg_restore: error: could not read from input file');
    expect(await errorOf(write(exporter({ tools: damaged })))).to.match(/BackupDamaged/);
    const full = failing('could not write: No space left on device');
    expect(await errorOf(write(exporter({ tools: full })))).to.match(/NotEnoughDisk/);
    expect(await errorOf(lstat(target()))).to.match(/ENOENT/);
  });
});
