import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Restores } from '../../../src/backups/restores.ts';
import { Updates } from '../../../src/backups/updates.ts';
import type { OdooUpdateRun } from '../../../src/databases/odoo-update.ts';
import type { Replacements } from '../../../src/databases/replacement.ts';
import { TerminalError } from '../../../src/errors.ts';
import { InstanceDirs } from '../../../src/files/instance-dir.ts';
import type { UnixUser } from '../../../src/host/files.ts';
import type { DesiredInstance, Job } from '../../../src/instance/types.ts';
import { anInstance, aRepository, identityOf } from '../../support/samples.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const [OLD, NEW] = ['sha256:old', 'sha256:new'];
const FILE = `ab/ab${'0'.repeat(38)}`;

describe('Updates', () => {
  const folder = temporaryFolder();
  const signal = new AbortController().signal;
  const desired = anInstance({
    imageDigest: OLD,
    repositories: [aRepository({ id: 3, commit: '1'.repeat(40) })],
  });
  const job = (id: number, kind: Job['kind'] = 'update'): Job => ({
    ...{ id, identity: identityOf(id), kind, snapshot: '' },
  });
  /** The databases that are there, and what was done with them. */
  let databases: Set<string>;
  let fails: Error | null;
  let runs: OdooUpdateRun[];
  /** What a rehearsal may take beside what the backup's size allows. */
  let rehearsalMs: number;
  let newest: { image: string; commit: string };
  let hasMemory: boolean;
  /** The images that are here, by their pins. */
  let imageIds: Map<string, string>;
  /** With what image, and at which commits, repositories were fetched. */
  let fetchedFor: DesiredInstance | null;
  /** The user that Odoo runs as in every image. */
  let user: UnixUser;
  let updates: Updates;
  let restores: Restores;
  let dirs: InstanceDirs;

  const restoring = () => join(dirs.paths(7).directory, 'restore');
  const present = () => join(dirs.paths(7).filestore, 'ms_k3x9ab_7');

  beforeEach(async () => {
    dirs = new InstanceDirs(join(folder(), String(Math.random())));
    databases = new Set(['own']);
    fails = null;
    runs = [];
    fetchedFor = null;
    imageIds = new Map();
    hasMemory = true;
    user = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    newest = { image: NEW, commit: '2'.repeat(40) };
    await mkdir(join(present(), 'ab'), { recursive: true });
    await writeFile(join(present(), FILE), 'content');
    const replacements = {
      bytes: async () => 1_000,
      copy: async () => {
        databases.delete('restored');
        databases.add('restoring');
        const login = { database: 'copy', role: 'role', password: 'secret' };
        return { server: { socketDir: '/run/x' }, login };
      },
      completeCopy: async () => {
        databases.delete('restoring');
        databases.add('restored');
      },
      dropPrepared: async () => {
        for (const name of ['restoring', 'restored']) databases.delete(name);
      },
      replace: async () => {
        if (!databases.delete('restored')) return;
        databases.add('before');
      },
      prepareReplaced: async () => {
        if (databases.delete('before')) databases.add('restored');
        return databases.has('restored');
      },
    } as unknown as Replacements;
    const common = { install: 'k3x9ab', dirs, replacements };
    // What a rehearsal on the restored copy gives: the errors from before.
    const known = [`odoo.x: of ${OLD}`];
    const passed = async () => known as never;
    rehearsalMs = 0;
    updates = new Updates({
      ...common,
      disk: { checkRoom: async () => {} },
      odoo: {
        changedModules: async () => ['sale'],
        end: async () => {},
        errorsBefore: async () => [],
        run: async (run) => {
          runs.push(run);
          if (fails) throw fails;
          await writeFile(join(run.filestoreDir, run.login.database, 'new'), 'made by Odoo');
        },
      },
      store: {
        inRestored: async (_owner, _snapshot, _signal, _work, _into, workMs = 0) => {
          rehearsalMs = workMs;
          return known as never;
        },
        inProofServer: passed,
      },
      hasMemory: () => hasMemory,
      newestImage: async () => newest.image,
      presentImage: async ({ imageDigest }) => imageDigest,
      localPin: async (pin) => imageIds.get(pin) ?? null,
      userOf: async () => user,
      fetch: async (wanted) => {
        fetchedFor = wanted;
        return [{ id: 3, commit: newest.commit }];
      },
    });
    restores = new Restores({
      ...common,
      tools: { restore: async () => {} },
      odooOf: async () => 19,
      inRestored: passed,
    });
  });

  const rehearse = (number = 5, of = desired) =>
    updates.rehearse(of, job(number), 'a'.repeat(64), async () => {}, signal);
  const pins = (image: string, digit: string, givenModules: readonly string[] = []) => ({
    imageDigest: image,
    commits: [{ id: 3, commit: digit.repeat(40) }],
    givenModules,
  });

  it('update a copy of the data, by hard links, and leave the data themselves as they are', async () => {
    await rehearse();
    expect(await restores.prepared(desired)).to.equal(identityOf(5));
    await updates.make(desired, signal);
    expect(runs[0]).to.deep.include({ image: NEW, modules: ['sale'] });
    expect(runs[0]?.knownErrors).to.deep.equal([`odoo.x: of ${OLD}`]);
    expect(runs[0]?.login.database).to.equal('copy');
    const copy = join(restoring(), 'filestore');
    expect((await stat(join(copy, FILE))).ino).to.equal((await stat(join(present(), FILE))).ino);
    expect(await readdir(present()), 'what is new is in the copy alone').not.to.include('new');
    expect(await updates.pins(desired)).to.deep.equal(pins(NEW, '2'));
  });

  it('put them in place with their versions, and bring both back', async () => {
    await rehearse();
    await updates.make(desired, signal);
    expect(await restores.replacedAt(desired)).to.equal(null);
    await restores.carryOut(desired, job(5));
    expect(await restores.replacedAt(desired)).to.be.an.instanceOf(Date);
    expect(await readdir(present())).to.include('new');
    expect(await updates.pins(desired), 'nothing is prepared any more').to.equal(null);
    const undo = job(6, 'undo_update');
    // Twice: the first was killed before it had said so.
    for (const _ of [1, 2]) await updates.prepareUndo(desired, undo);
    await restores.prepare(desired, undo, async () => {}, signal);
    expect(await updates.pins(desired)).to.deep.equal(pins(OLD, '1'));
    await restores.carryOut(desired, undo);
    expect(await readdir(present())).not.to.include('new');
    expect(await readFile(join(present(), FILE), 'utf8')).to.equal('content');
  });

  it('install what the plan got since, and not what the customer may have removed', async () => {
    const of = { ...desired, modules: ['sale', 'crm', 'project'], givenModules: ['sale', 'crm'] };
    newest = { image: OLD, commit: '1'.repeat(40) };
    await rehearse(5, of);
    await updates.make(of, signal);
    expect(runs[0]).to.deep.include({ newModules: ['project'] });
    expect(await updates.pins(of)).to.deep.equal(pins(OLD, '1', ['sale', 'crm', 'project']));
    await restores.carryOut(of, job(5));
    const undo = job(6, 'undo_update');
    await updates.prepareUndo(of, undo);
    await restores.prepare(of, undo, async () => {}, signal);
    expect(await updates.pins(of)).to.deep.equal(pins(OLD, '1', ['sale', 'crm']));
  });

  it('install nothing where nobody has noted what the plan has given, but note it', async () => {
    const of = { ...desired, modules: ['sale'], givenModules: null };
    await rehearse(5, of);
    await updates.make(of, signal);
    expect(runs[0]).to.deep.include({ newModules: [] });
    expect(await updates.pins(of)).to.deep.equal(pins(NEW, '2', ['sale']));
  });

  /** What carryOut() does one after the other, and a kill may come after each. */
  const parts: ReadonlyArray<readonly [string, () => Promise<unknown>]> = [
    ['nothing', async () => {}],
    ['the database', async () => databases.delete('restored') && databases.add('before')],
    [
      'the present files',
      async () => {
        await mkdir(join(restoring(), '..', 'before'));
        await rename(present(), join(restoring(), '..', 'before', 'filestore'));
      },
    ],
    ['the new files', () => rename(join(restoring(), 'filestore'), present())],
    [
      'the versions',
      () => rename(join(restoring(), 'pins.json'), join(restoring(), '..', 'before', 'pins.json')),
    ],
    [
      'what says that it is done',
      () => writeFile(join(restoring(), '..', 'before', 'job'), `${identityOf(5)}\n`),
    ],
    ['some of what is left', () => rm(join(restoring(), 'updated'))],
  ];
  for (const [index, [title]] of parts.entries())
    it(`are put in place where a kill came after ${title}, and can be undone`, async () => {
      await rehearse();
      await updates.make(desired, signal);
      let told = await updates.pins(desired);
      for (const [, part] of parts.slice(0, index + 1)) await part();
      // As the step swapData and the queue of backups do.
      if ((await restores.prepared(desired)) === identityOf(5)) {
        await updates.make(desired, signal);
        told = (await updates.pins(desired)) ?? told;
        await restores.carryOut(desired, job(5));
      }
      expect(await restores.isCarriedOut(desired, job(5))).to.equal(true);
      expect(await restores.prepared(desired), 'nothing waits any more').to.equal('');
      expect(told).to.deep.equal(pins(NEW, '2'));
      expect(runs, 'made once').to.have.length(1);
      expect(await readdir(present())).to.include('new');
      const undo = job(6, 'undo_update');
      await updates.prepareUndo(desired, undo);
      await restores.prepare(desired, undo, async () => {}, signal);
      expect(await updates.pins(desired)).to.deep.equal(pins(OLD, '1'));
      await restores.carryOut(desired, undo);
      expect(await readdir(present())).not.to.include('new');
    });

  it('leave no versions to the restore of lost files, whose undo keeps those of now', async () => {
    await rehearse();
    await updates.make(desired, signal);
    await restores.carryOut(desired, job(5));
    await rm(present(), { recursive: true });
    // As Restores.prepare() of a backup leaves it.
    await mkdir(join(restoring(), 'filestore'), { recursive: true });
    await writeFile(join(restoring(), 'job'), `${identityOf(6)}\n`);
    await restores.carryOut(desired, job(6, 'restore'));
    await updates.prepareUndo(desired, job(7, 'undo_restore'));
    expect(await updates.pins(desired)).to.equal(null);
  });

  it('that were cut off leave their versions to no undo, of an update or of a restore', async () => {
    await rehearse();
    await updates.make(desired, signal);
    await restores.carryOut(desired, job(5));
    const cutOff = async (number: number) => {
      newest = { image: 'sha256:newest', commit: '3'.repeat(40) };
      await rehearse(number);
      // The kill came before the file that says that it is prepared.
      await rm(join(restoring(), 'job'));
    };
    await cutOff(6);
    await updates.prepareUndo(desired, job(7, 'undo_update'));
    expect(await updates.pins(desired)).to.deep.equal(pins(OLD, '1'));
    await rm(join(restoring(), '..', 'before', 'pins.json'));
    await cutOff(8);
    await updates.prepareUndo(desired, job(9, 'undo_restore'));
    expect(await updates.pins(desired)).to.equal(null);
  });

  it('fetch what the branches are now for the newest image: the present one may be gone', async () => {
    await rehearse();
    expect(fetchedFor?.imageDigest).to.equal(NEW);
    expect(fetchedFor?.repositories.map(({ commit }) => commit)).to.deep.equal(['']);
  });

  it('are refused where the newest image runs Odoo as another user, to whom the files do not belong', async () => {
    const { uid } = user;
    user = { ...user, uid: uid + 1 };
    const refused = await rehearse().catch((error) => error);
    expect(refused).to.include({ reason: 'UpdateFailed' });
    expect(refused.detail)
      .to.include(`user ${uid + 1}`)
      .and.include(`user ${uid}`);
    expect(await restores.prepared(desired)).to.equal('');
  });

  it('are neither rehearsed nor made without memory for one more Odoo', async () => {
    hasMemory = false;
    expect(await rehearse().catch(({ reason }) => reason)).to.equal('NotEnoughMemory');
    hasMemory = true;
    await rehearse();
    hasMemory = false;
    const made = updates.make(desired, signal);
    expect(await made.catch(({ reason }) => reason)).to.equal('NotEnoughMemory');
    expect([...databases]).to.deep.equal(['own']);
  });

  it('may take as long on the backup as Odoo may take to update it', async () => {
    await rehearse();
    expect(rehearsalMs).to.be.at.least(60 * 60_000);
  });

  it('are made again after a kill, and not once they are complete', async () => {
    await rehearse();
    fails = new Error('killed');
    await updates.make(desired, signal).catch(() => {});
    fails = null;
    await updates.make(desired, signal);
    expect(runs).to.have.length(2);
    await updates.make(desired, signal);
    expect(runs).to.have.length(2);
    expect([...databases]).to.have.members(['own', 'restored']);
  });

  it('leave nothing where they are abandoned', async () => {
    await rehearse();
    fails = new TerminalError('UpdateFailed', 'made to fail');
    await updates.make(desired, signal).catch(() => {});
    await updates.abandon(desired);
    expect([...databases]).to.deep.equal(['own']);
    expect(existsSync(restoring())).to.equal(false);
    expect(await readFile(join(present(), FILE), 'utf8')).to.equal('content');
  });

  it('are none where nothing is newer, and cannot be undone where nothing is kept', async () => {
    newest = { image: OLD, commit: '1'.repeat(40) };
    expect(await rehearse().catch(({ reason }) => reason)).to.equal('NothingToUpdate');
    newest = { ...newest, image: 'mirror.example.com/odoo@sha256:new' };
    expect(await rehearse().catch(({ reason }) => reason), 'neither is here').to.equal(undefined);
    imageIds = new Map([OLD, newest.image].map((pin) => [pin, 'the same image']));
    expect(await rehearse().catch(({ reason }) => reason)).to.equal('NothingToUpdate');
    const undone = updates.prepareUndo(desired, job(6, 'undo_update'));
    expect(await undone.catch(({ reason }) => reason)).to.equal('NothingToUndo');
    // A restore has no versions of its own.
    await updates.prepareUndo(desired, job(7, 'undo_restore'));
    expect(await updates.pins(desired)).to.equal(null);
  });
});
