import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupKeys, MANAGER } from '../../../src/backups/backup-keys.ts';
import { HostClaim } from '../../../src/backups/host-claim.ts';
import { ManagerBackups } from '../../../src/backups/manager-backups.ts';
import { ConfigError } from '../../../src/errors.ts';
import { takeOver, waitForOwnHost } from '../../../src/host-replaced.ts';
import { lockManagerBackups } from '../../../src/install-id.ts';
import type { Logger } from '../../../src/log.ts';
import { Restic } from '../../../src/restic/restic.ts';
import { until } from '../../../stack/until.ts';
import { FakeDocker } from '../../fakes/docker.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const INSTALL = 'k3x9ab';
const [ONE, OTHER] = [
  '11111111-0000-4000-8000-000000000001',
  '22222222-0000-4000-8000-000000000002',
];

describe('the host that works for an install', () => {
  const { signal } = new AbortController();
  const folder = temporaryFolder();
  let docker: FakeDocker;
  let keys: BackupKeys;
  let restic: Restic;
  /** The tags of the snapshots in the manager's repository, oldest first. */
  let snapshots: string[][];
  let asked: number;
  let now: Date;
  let replaced: unknown[];

  const claimOf = (host: string) =>
    new HostClaim({
      ...{ host, keys, restic, folder: folder(), now: () => now },
      onReplaced: (error) => replaced.push(error),
    });
  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => error.reason ?? error,
    );

  beforeEach(() => {
    [snapshots, asked, replaced, now] = [[], 0, [], new Date('2026-11-27T02:00:00Z')];
    docker = new FakeDocker();
    docker.programs.set('restic', ({ command }) => {
      if (command.includes('snapshots')) {
        asked += 1;
        const listed = snapshots.map((tags, at) => ({
          ...{ id: String(at).padStart(64, '0'), tags },
          time: new Date(Date.UTC(2026, 10, 1 + at)),
        }));
        return JSON.stringify(listed);
      }
      if (!command.includes('backup')) return '';
      snapshots.push(command.flatMap((one) => one.match(/^--tag=(.*)$/)?.[1] ?? []));
      return `{"message_type":"summary","snapshot_id":"${'a'.repeat(64)}"}`;
    });
    const base = join(folder(), 'repositories');
    mkdirSync(join(base, `${INSTALL}-manager`), { recursive: true });
    keys = new BackupKeys(INSTALL, base, join(folder(), 'backups'));
    restic = new Restic(INSTALL, 'base', docker.cli, {
      ...{ base, environmentFile: '', sshFolder: '' },
    });
  });

  it('is nobody before one has said so, and nothing is asked without the key', async () => {
    await claimOf(ONE).require(signal);
    expect(asked).to.equal(0);
    await keys.make(MANAGER, async () => {});
    snapshots = [['data', 'run:1']];
    expect(await claimOf(ONE).claimedBy(signal)).to.equal(null);
    expect(await claimOf(ONE).replaced(signal)).to.equal(null);
  });

  it('is the one that the newest snapshot names, whoever has written others since', async () => {
    const [one, other] = [claimOf(ONE), claimOf(OTHER)];
    await one.claim(signal);
    await other.claim(signal);
    snapshots.push(['proof', 'of:1']);
    expect((await one.claimedBy(signal))?.host).to.equal(OTHER);
    expect(await other.replaced(signal)).to.equal(null);
    expect(await reasonOf(one.require(signal))).to.equal('HostReplaced');
    expect(replaced).to.have.length(1);
    await one.claim(signal);
    await one.require(signal);
    expect(await reasonOf(other.require(signal))).to.equal('HostReplaced');
  });

  it('is asked for once in five minutes at most, and each time after another was found', async () => {
    const one = claimOf(ONE);
    await one.claim(signal);
    for (let times = 0; times < 3; times += 1) await one.require(signal);
    expect(asked).to.equal(1);
    now = new Date(now.getTime() + 6 * 60_000);
    await claimOf(OTHER).claim(signal);
    for (let times = 0; times < 2; times += 1)
      expect(await reasonOf(one.require(signal))).to.equal('HostReplaced');
    expect(asked).to.equal(3);
  });

  /** A backup of the manager by a host, during which something happens. */
  const backUp = (host: string, meanwhile: () => Promise<void>) =>
    new ManagerBackups({
      ...{ install: INSTALL, database: 'manager', url: '', files: [], host, keys, restic },
      claim: claimOf(host),
      folder: join(folder(), 'work'),
      disk: { checkRoom: async () => {} },
      store: {} as never,
      tools: { dump: async () => meanwhile() },
      place: async () => ({
        ...{
          container: 'm',
          isRunning: true,
          filestores: folder(),
          socketDir: '',
          role: '',
          password: '',
        },
      }),
      hold: async (_login, _folder, _counted, work) =>
        work({ bytes: 1, rows: {}, snapshot: '' } as never),
    }).take({ isByHand: false }, signal);
  const forgotten = () => docker.runs.filter(({ command }) => command.includes('forget')).length;

  it('stays the one that has taken over while the other one backed the manager up, whose backup is forgotten', async () => {
    await claimOf(ONE).claim(signal);
    expect(await reasonOf(backUp(ONE, async () => {}))).to.equal('done');
    expect(forgotten()).to.equal(0);
    const taken = () => claimOf(OTHER).claim(signal);
    expect(await reasonOf(backUp(ONE, taken))).to.equal('HostReplaced');
    expect(forgotten()).to.equal(1);
    expect((await claimOf(ONE).claimedBy(signal))?.host, 'its server keeps all').to.equal(OTHER);
  });

  it('takes over at no moment at which the manager is backed up or restored on this host', async () => {
    writeFileSync(join(folder(), 'install-id'), INSTALL);
    const install = `h${process.pid.toString(36).padStart(5, '0').slice(-5)}`;
    const sidecar = { install, dataDir: folder(), backups: { claim: claimOf(ONE) } } as never;
    const release = await lockManagerBackups(install);
    const refused = await takeOver(sidecar, true, signal).catch((error: unknown) => error);
    expect(refused).to.be.instanceOf(ConfigError);
    expect(snapshots).to.deep.equal([]);
    release();
    await takeOver(sidecar, true, signal);
    expect(snapshots).to.have.length(1);
  });

  describe('at the sidecar’s start', () => {
    const quiet = () => {};
    const log = { error: quiet, warn: quiet, info: quiet } as unknown as Logger;
    const wait = (host: string, stop: AbortSignal) =>
      waitForOwnHost(
        { api: docker.api, install: INSTALL, backups: { claim: claimOf(host) } as never },
        log,
        stop,
      );
    const running = () =>
      [...docker.containers.values()]
        .filter(({ state }) => state === 'running')
        .map(({ id }) => id);

    beforeEach(() => {
      const parts = { i7: 'microsaas.instance', m: 'microsaas.part', d: 'microsaas.part' };
      for (const [id, label] of Object.entries(parts))
        docker.containers.set(id, {
          ...{ id, name: id, state: 'running', created: 0, published: new Map(), restarts: 0 },
          labels: {
            'microsaas.install': INSTALL,
            [label]: { i7: '7', m: 'manager', d: 'door' }[id] ?? '',
          },
        } as never);
    });

    it('goes on where nobody has taken over, or the repository does not say', async () => {
      await wait(ONE, signal);
      await claimOf(ONE).claim(signal);
      await wait(ONE, signal);
      docker.programs.delete('restic');
      await wait(ONE, signal);
      expect(running()).to.deep.equal(['i7', 'm', 'd']);
    });

    it('stops the instances and the manager of one that was replaced, and waits', async () => {
      await claimOf(ONE).claim(signal);
      await claimOf(OTHER).claim(signal);
      const stop = new AbortController();
      const waited = wait(ONE, stop.signal).catch((error) => error.name);
      await until(async () => running().length === 1, 5);
      expect(running()).to.deep.equal(['d']);
      stop.abort();
      expect(await waited).to.equal('AbortError');
    });
  });
});
