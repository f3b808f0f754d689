import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupKeys, MANAGER } from '../../../src/backups/backup-keys.ts';
import { readIfThere } from '../../../src/host/files.ts';
import { identityOf } from '../../support/samples.ts';
import { temporaryFolder } from '../../support/temporary.ts';

describe('the keys of backups', () => {
  const instance = { id: 7, identity: identityOf(7) };
  const folder = temporaryFolder();
  let keys: BackupKeys;
  beforeEach(() => {
    keys = new BackupKeys('k3x9ab', 'rest:https://backup.example.com/', join(folder(), 'backups'));
  });
  const escrow = async () =>
    JSON.parse(await readFile(join(folder(), 'backups', 'escrow.json'), 'utf8'));

  it('are one for each repository, which only the sidecar can read, and in the escrow file before anything is encrypted', async () => {
    expect(await keys.has(instance)).to.equal(false);
    let known: unknown;
    await keys.make(instance, async ({ keyFile, name }) => {
      expect(name).to.equal('k3x9ab-7-00000000');
      known = (await escrow()).keys[name];
      expect(known).to.equal((await readFile(keyFile, 'utf8')).trim());
    });
    expect(known).to.match(/^[\w-]{24}$/);
    const { keyFile } = keys.repositoryOf(instance);
    for (const file of [keyFile, join(folder(), 'backups', 'escrow.json')])
      expect((await stat(file)).mode & 0o777).to.equal(0o600);
    expect(await escrow()).to.deep.include({
      install: 'k3x9ab',
      base: 'rest:https://backup.example.com/',
    });
    expect(await keys.has(instance)).to.equal(true);
  });

  it('that are forgotten are nowhere any more, whoever writes the escrow file meanwhile', async () => {
    const other = { id: 8, identity: identityOf(8) };
    for (const one of [instance, other]) await keys.make(one, async () => {});
    await Promise.all([keys.writeEscrow(), keys.forget(instance), keys.writeEscrow()]);
    expect(Object.keys((await escrow()).keys)).to.deep.equal([keys.repositoryOf(other).name]);
    expect(await keys.has(instance)).to.equal(false);
    expect(await keys.has(other)).to.equal(true);
    await keys.forget(instance);
  });

  it('that are forgotten do not come back to who asks for one meanwhile, nor where the escrow file cannot be written', async () => {
    await keys.make(instance, async () => {});
    const { keyFile } = keys.repositoryOf(instance);
    const file = join(folder(), 'backups', 'escrow.json');
    const whole = await readFile(file, 'utf8');
    await writeFile(file, '{"keys"');
    expect(await keys.forget(instance).then(String, String)).to.match(/is no escrow file/);
    expect(await readIfThere(keyFile), 'its entry would bring it back').not.to.equal(null);
    await writeFile(file, whole);
    // Lost: only the escrow file has it.
    await rm(keyFile);
    await Promise.all([keys.forget(instance), keys.has(instance)]);
    expect(await keys.has(instance)).to.equal(false);
  });

  it('are one for the manager too, in a repository that is called so', () => {
    expect(keys.repositoryOf(MANAGER).name).to.equal('k3x9ab-manager');
  });

  it('stay the same when making the repository is interrupted and repeated', async () => {
    const seen: string[] = [];
    const interrupted = keys.make(instance, async ({ keyFile }) => {
      seen.push(await readFile(keyFile, 'utf8'));
      throw new Error('killed');
    });
    await interrupted.catch(() => {});
    expect(await keys.has(instance)).to.equal(false);
    await keys.make(instance, async ({ keyFile }) => {
      seen.push(await readFile(keyFile, 'utf8'));
    });
    expect(new Set(seen)).to.have.property('size', 1);
    expect(await readFile(keys.repositoryOf(instance).keyFile, 'utf8')).to.equal(seen[0]);
  });

  it('are made for no repository where others’ should be and none is, as on a disk that is not mounted', async () => {
    const base = join(folder(), 'mounted');
    const here = new BackupKeys('k3x9ab', base, join(folder(), 'backups'));
    await here.make(
      instance,
      async ({ name }) => void (await mkdir(join(base, name), { recursive: true })),
    );
    await rm(base, { recursive: true });
    await mkdir(base);
    const other = { id: 8, identity: identityOf(8) };
    let isMade = false;
    const make = async () => {
      isMade = true;
    };
    const error = await here.make(other, make).catch((thrown) => thrown);
    expect(error).to.include({ reason: 'BackupServerAway' });
    expect(isMade).to.equal(false);
    await mkdir(join(base, here.repositoryOf(instance).name));
    await here.make(other, make);
    expect(isMade).to.equal(true);
  });

  it('that are lost are taken from the escrow file, which forgets none', async () => {
    await keys.make(instance, async () => {});
    const { keyFile, name } = keys.repositoryOf(instance);
    const key = await readFile(keyFile, 'utf8');
    await rm(join(folder(), 'backups', 'keys'), { recursive: true });
    const other = { id: 8, identity: identityOf(8) };
    await keys.make(other, async () => {});
    expect((await escrow()).keys[name]).to.equal(key.trim());
    expect(await keys.has(instance)).to.equal(true);
    expect(await readFile(keyFile, 'utf8')).to.equal(key);
  });

  it('that an escrow file brings later take the place of one whose repository could not be made, for it was there', async () => {
    await keys.make(instance, () => Promise.reject(new Error('wrong password'))).catch(() => {});
    const { keyFile, name } = keys.repositoryOf(instance);
    const brought = { install: 'k3x9ab', base: '/somewhere', keys: { [name]: 'the-right-one' } };
    await writeFile(join(folder(), 'backups', 'escrow.json'), JSON.stringify(brought));
    expect(await keys.has(instance)).to.equal(true);
    expect(await readFile(keyFile, 'utf8')).to.equal('the-right-one\n');
    expect(await readIfThere(`${keyFile}.new`)).to.equal(null);
    await keys.writeEscrow();
    expect((await escrow()).keys[name]).to.equal('the-right-one');
  });

  it('are not made while the escrow file cannot be read: it may hold all that is left', async () => {
    await keys.make(instance, async () => {});
    await writeFile(join(folder(), 'backups', 'escrow.json'), '{"keys"');
    const other = { id: 8, identity: identityOf(8) };
    const made = await keys.make(other, async () => {}).then(String, String);
    expect(made).to.match(/is no escrow file/);
  });

  it('are another’s for a number that was given out again', () => {
    const other = { id: 7, identity: identityOf(7, 1) };
    expect(keys.repositoryOf(other)).not.to.deep.equal(keys.repositoryOf(instance));
  });
});
