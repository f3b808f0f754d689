import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupKeys } from '../../../src/backups/backup-keys.ts';
import { BackupStore } from '../../../src/backups/backup-store.ts';
import { CommandError } from '../../../src/errors.ts';
import { InstanceDirs } from '../../../src/files/instance-dir.ts';
import { Restic } from '../../../src/restic/restic.ts';
import { FakeDocker } from '../../fakes/docker.ts';
import { anInstance } from '../../support/samples.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const INSTALL = 'k3x9ab';

describe('a backup, on a server that keeps whatever it has', () => {
  const { signal } = new AbortController();
  const folder = temporaryFolder();
  const instance = anInstance({ id: 7, wasReady: true });
  let store: BackupStore;
  /** The tags of the snapshots in the repository, oldest first. */
  let snapshots: string[][];
  /** Happens once restic has written a snapshot of data. */
  let afterData: () => void;
  /** Happens before the database is let go. */
  let beforeRelease: () => void;

  beforeEach(async () => {
    [snapshots, afterData, beforeRelease] = [[], () => {}, () => {}];
    const docker = new FakeDocker();
    const idOf = (at: number) => String(at).padStart(64, '0');
    docker.programs.set('restic', ({ command }) => {
      if (command.includes('snapshots'))
        return JSON.stringify(
          snapshots.map((tags, at) => ({
            ...{ id: idOf(at), tags, time: new Date(Date.UTC(2026, 10, 1 + at)) },
          })),
        );
      if (!command.includes('backup')) return '';
      snapshots.push(command.flatMap((one) => one.match(/^--tag=(.*)$/)?.[1] ?? []));
      if (command.includes('--tag=data')) afterData();
      return `{"message_type":"summary","snapshot_id":"${idOf(snapshots.length - 1)}"}`;
    });
    const base = join(folder(), 'repositories');
    const dirs = new InstanceDirs(folder());
    mkdirSync(dirs.paths(7).filestore, { recursive: true });
    const keys = new BackupKeys(INSTALL, base, join(folder(), 'backups'));
    await keys.make(instance, async ({ name }) => {
      mkdirSync(join(base, name), { recursive: true });
    });
    store = new BackupStore({
      ...{ install: INSTALL, dirs, keys, folder: join(folder(), 'work') },
      disk: { checkRoom: async () => {} },
      requireHost: async () => {},
      restic: new Restic(INSTALL, 'base', docker.cli, {
        ...{ base, environmentFile: '', sshFolder: '' },
      }),
      tools: { dump: async () => {}, restore: async () => {} },
      proofServer: {} as never,
      bootCopy: async () => false,
      heldForBackup: async (_desired, work) => {
        const login = { socketDir: '', database: '', role: '', password: '' };
        const held = { login, snapshot: '', rows: {}, bytes: 1, image: '', odoo: 19, url: '' };
        const result = await work(held);
        beforeRelease();
        return result;
      },
    });
  });
  const take = () => store.take(instance, { isByHand: true }, signal).catch((error) => error);
  const failing = (code: number) => () => {
    throw new CommandError(['docker'], code, 'cut off');
  };

  it('counts once another snapshot says that it is whole', async () => {
    await take();
    expect(snapshots.map(([first]) => first)).to.deep.equal(['data', 'whole']);
    const [backup, ...others] = await store.list(instance, signal);
    expect(backup).to.include({ proof: 'none', isByHand: true });
    expect(others).to.deep.equal([]);
    const [kept] = await store.forgetOld(instance, new Date(), signal);
    expect(kept?.snapshot).to.equal(backup?.snapshot);
  });

  for (const [what, spoil] of [
    ['of which a file could not be read', () => (afterData = failing(3))],
    ['whose database was let go meanwhile', () => (beforeRelease = failing(1))],
    ['that restic has written for a sidecar that was killed', () => (afterData = failing(137))],
  ] as const)
    it(`is none in any list, and not the newest that is kept: one ${what}`, async () => {
      await take();
      const whole = (await store.list(instance, signal)).map(({ snapshot }) => snapshot);
      spoil();
      expect(await take()).to.be.instanceOf(Error);
      const there = snapshots.filter((tags) => tags.includes('data'));
      expect(there, 'it is there').to.have.length(2);
      for (const list of [
        store.list(instance, signal),
        store.forgetOld(instance, new Date(), signal),
      ])
        expect((await list).map(({ snapshot }) => snapshot)).to.deep.equal(whole);
      const id = String(snapshots.findLastIndex((tags) => tags.includes('data'))).padStart(64, '0');
      const restored = store.inRestored(instance, id, signal, async () => 'restored');
      expect((await restored.catch((error) => error)).reason).to.equal('BackupGone');
    });
});
