import { expect } from 'chai';
import { RetryableError } from '../../src/errors.ts';
import { restoreAll } from '../../src/restore-all.ts';
import type { Sidecar } from '../../src/wiring.ts';
import { FakeBackups } from '../fakes/backups.ts';
import { FakeManager } from '../fakes/manager.ts';
import { anInstance, identityOf } from '../support/samples.ts';

describe('restore --all, on an empty machine', () => {
  const { signal } = new AbortController();
  let manager: FakeManager;
  let backups: FakeBackups;
  /** The instances of which something is here. */
  let here: Set<number>;
  /** Those whose directory is there and marked, and nothing else. */
  let claimed: Set<number>;
  /** What was asked for in Odoo, and whether Odoo's list had it then. */
  let asked: Array<{ id: number; kind: string; snapshot: string; isListed: boolean }>;
  let lines: string[];
  let outcome: 'done' | 'failed';

  const run = () => {
    const odoo = {
      desired: (ids: number[]) => manager.desired(ids),
      states: () => manager.states(),
      reportBackups: (...args: Parameters<FakeManager['reportBackups']>) =>
        manager.reportBackups(...args),
      askForJob: async (id: number, kind: string, snapshot: string) => {
        const listed = manager.backups.get(id) ?? [];
        const isListed = listed.some((one) => one.snapshot === snapshot);
        asked.push({ id, kind, snapshot, isListed });
        return id;
      },
      jobProgress: async () => ({ state: outcome, message: 'It is damaged.', percent: 0 }),
    };
    const engine = {
      observe: async ({ id }: { id: number }) =>
        here.has(id)
          ? { directory: 'own', data: 'whole' }
          : { directory: claimed.has(id) ? 'own' : 'nobody', data: 'absent' },
    };
    const restoring = { begun: async () => null };
    const parts = { backups: { store: backups }, engine, manager: odoo, restoring };
    const sidecar = parts as unknown as Sidecar;
    return restoreAll(sidecar, (line) => lines.push(line), signal);
  };
  /** An instance with a backup. @returns its snapshot */
  const lost = async (over: Partial<ReturnType<typeof anInstance>> = {}) => {
    const id = manager.insert({ wasReady: true, desiredState: 'running', ...over });
    const instance = anInstance({ id });
    await backups.take(instance, { isByHand: false });
    const [one] = await backups.list(instance);
    await backups.prove(instance, one?.snapshot ?? '', { boots: false });
    return { id, snapshot: one?.snapshot ?? '' };
  };

  beforeEach(() => {
    const now = () => new Date('2026-11-27T02:00:00Z');
    manager = new FakeManager({ now });
    backups = new FakeBackups(now);
    [here, claimed, asked, lines, outcome] = [new Set(), new Set(), [], [], 'done'];
  });

  it('asks for the newest proven backup of each, which Odoo is told of first: it was backed up before them', async () => {
    const [one, other] = [await lost(), await lost({ desiredState: 'stopped' })];
    await backups.take(anInstance({ id: one.id }), { isByHand: false });
    expect(await run()).to.include({ restored: 2, failed: 0 });
    expect(asked).to.deep.equal(
      [one, other].map((wanted) => ({ ...wanted, kind: 'restore', isListed: true })),
    );
  });

  it('leaves alone what is here, so it may be repeated, and what has no data', async () => {
    const one = await lost();
    here.add(one.id);
    await lost({ wasReady: false });
    await lost({ desiredState: 'removed' });
    await lost({ copyOf: { id: one.id, identity: identityOf(one.id), snapshot: one.snapshot } });
    expect(await run()).to.deep.include({ restored: 0, failed: 0 });
    expect(asked).to.deep.equal([]);
  });

  it('tries again what has failed before, of which there is no more than its marked directory', async () => {
    const one = await lost();
    claimed.add(one.id);
    expect(await run()).to.include({ restored: 1, failed: 0 });
  });

  it('leaves what is under way to the sidecar', async () => {
    const job = { id: 5, identity: identityOf(5), kind: 'restore', snapshot: '' } as const;
    await lost({ job });
    expect(await run()).to.include({ restored: 0, failed: 0 });
    expect(lines.join()).to.include('under way already');
  });

  it('says which could not be restored, and why, and goes on with the others', async () => {
    const [unproven, away, well] = [await lost(), await lost(), await lost()];
    backups.taken.set(unproven.id, []);
    const list = backups.list.bind(backups);
    backups.list = async (instance) => {
      if (instance.id === away.id) throw new RetryableError('BackupServerAway', 'no connection');
      return list(instance);
    };
    expect(await run()).to.include({ restored: 1, failed: 2 });
    expect(asked.map(({ id }) => id)).to.deep.equal([well.id]);
    expect(lines.join('\n')).to.include('no proven backup among 0').and.include('no connection');
    outcome = 'failed';
    expect(await run()).to.include({ restored: 0, failed: 3 });
    expect(lines.at(-1)).to.include('It is damaged.');
  });
});
