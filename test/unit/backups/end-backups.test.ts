import { expect } from 'chai';
import { EndBackups } from '../../../src/backups/end-backups.ts';
import { RetryableError, TerminalError } from '../../../src/errors.ts';
import { FakeBackups } from '../../fakes/backups.ts';
import { anInstance, aSubscription } from '../../support/samples.ts';

const never = new AbortController().signal;
const REMOVED = new Date('2026-11-24T10:15:00Z');

describe('the last backup of an instance', () => {
  let backups: FakeBackups;
  let ended: EndBackups;
  let hasArchive: boolean;
  let disconnected: number[];
  beforeEach(() => {
    let now = Date.parse('2026-12-24T02:00:00Z');
    backups = new FakeBackups(() => {
      now += 1_000;
      return new Date(now);
    });
    hasArchive = false;
    disconnected = [];
    ended = new EndBackups({
      store: backups,
      archives: { has: async () => hasArchive },
      disconnect: async ({ id }) => void disconnected.push(id),
      now: () => new Date('2026-12-24T02:00:00Z'),
    });
  });
  const ending = (removedAt: Date | null = REMOVED) =>
    anInstance({ id: 7, subscription: aSubscription({ removedAt }) });
  const all = () => backups.taken.get(7) ?? [];
  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error: unknown) =>
        error instanceof TerminalError || error instanceof RetryableError
          ? `${error.name} ${error.reason}`
          : String(error),
    );

  it('is named by its id once it is proven; nobody is connected to the database then', async () => {
    const written = await ended.write(ending(), never);
    expect(all()).to.have.length(1);
    expect(all()[0]).to.include({ proof: 'data', ending: '20261124T101500Z', isByHand: false });
    expect(written).to.deep.equal({ name: all()[0]?.snapshot, leftOut: 0 });
    expect(disconnected).to.deep.equal([7]);
    await ended.verify(ending(), never);
  });

  it('is taken once, however often it is asked for', async () => {
    const [first, second] = [
      await ended.write(ending(), never),
      await ended.write(ending(), never),
    ];
    expect(first).to.deep.equal(second);
    expect(all()).to.have.length(1);
  });

  it('is proven and not taken again where a kill came between the two', async () => {
    await backups.take(ending(), { isByHand: false, ending: '20261124T101500Z' });
    expect(await reasonOf(ended.verify(ending(), never))).to.equal('TerminalError BackupGone');
    const [taken] = all();
    await ended.write(ending(), never);
    expect(all()).to.have.length(1);
    expect(all()[0]).to.include({ snapshot: taken?.snapshot, proof: 'data' });
  });

  it('is no other backup, be it proven, and no other end’s', async () => {
    await backups.take(ending(), { isByHand: true });
    await backups.take(ending(), { isByHand: false, ending: '20250101T000000Z' });
    for (const { snapshot } of all()) await backups.prove(ending(), snapshot, { boots: false });
    expect(await reasonOf(ended.verify(ending(), never))).to.equal('TerminalError BackupGone');
    await ended.write(ending(), never);
    expect(all()).to.have.length(3);
  });

  it('is taken again where it has failed its proof, and is none before that', async () => {
    const { take } = backups;
    backups.take = async (...args) => {
      await take.apply(backups, args);
      backups.damaged.add(all().at(-1)?.snapshot ?? '');
    };
    expect(await reasonOf(ended.write(ending(), never))).to.equal('TerminalError BackupDamaged');
    expect(await reasonOf(ended.verify(ending(), never))).to.equal('TerminalError BackupGone');
    Object.assign(backups, { take });
    await ended.write(ending(), never);
    expect(
      all().map(({ proof }) => proof),
      'the other is forgotten',
    ).to.deep.equal(['data']);
  });

  for (const reason of [
    'BackupTooLarge',
    'BackupTooSlow',
    'BackupFailed',
    'TenantDatabase',
  ] as const)
    it(`waits for a person, or for the next day, where the data are in its way: ${reason}`, async () => {
      backups.refusal = new RetryableError(reason, 'why', { detail: 'what' });
      expect(await reasonOf(ended.write(ending(), never))).to.equal(`TerminalError ${reason}`);
    });

  for (const reason of ['BackupServerAway', 'NotEnoughDisk', 'DockerUnavailable'] as const)
    it(`is tried again by itself where something else is: ${reason}`, async () => {
      backups.refusal = new RetryableError(reason, 'why');
      expect(await reasonOf(ended.write(ending(), never))).to.equal(`RetryableError ${reason}`);
    });

  it('may be the archive that an earlier version has written of this end', async () => {
    hasArchive = true;
    await ended.verify(ending(), never);
    expect(all()).to.deep.equal([]);
  });

  it('is refused for data that are not to be removed', async () => {
    expect(await reasonOf(ended.write(ending(null), never))).to.match(/TypeError/);
    expect(all()).to.deep.equal([]);
  });
});
