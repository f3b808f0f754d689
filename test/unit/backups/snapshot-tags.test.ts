import { expect } from 'chai';
import {
  backupsIn,
  claimIn,
  DATA_TAG,
  dataTags,
  endTags,
  hostTag,
  proofTags,
  wholeTags,
} from '../../../src/backups/snapshot-tags.ts';

const id = (digit: string) => digit.repeat(64);
const at = (hour: number) => new Date(Date.UTC(2026, 10, 27, hour));
const data = (digit: string, hour: number) => ({
  ...{ id: id(digit), time: at(hour), bytes: 5 },
  tags: [DATA_TAG, 'run:1'],
});
const proof = (digit: string, hour: number, tags: string[]) => ({
  ...{ id: id(digit), time: at(hour), bytes: 0, tags },
});

describe('the backups in a repository', () => {
  it('are the snapshots of data, each with the last proof of it', () => {
    const found = backupsIn([
      data('a', 1),
      proof('b', 2, proofTags(id('a'), { reason: 'BackupDamaged', detail: 'x' })),
      data('c', 3),
      proof('d', 4, proofTags(id('a'), 'data')),
    ]);
    expect(found.map(({ snapshot }) => snapshot)).to.deep.equal([id('a'), id('c')]);
    expect(found[0]).to.include({ proof: 'data', reason: '', detail: '' });
    expect(found[0]?.proofDate).to.deep.equal(at(4));
    expect(found[1]).to.include({ proof: 'none', proofDate: null });
  });

  it('count once they are said to be whole, or are proven; those of earlier versions at once', () => {
    const written = (digit: string, hour: number) => ({
      ...{ ...data(digit, hour), tags: [...dataTags(false), 'run:1'] },
    });
    const all = [
      ...[data('a', 1), written('b', 2), written('c', 3), written('d', 4), written('e', 5)],
      proof('1', 6, wholeTags(id('b'))),
      proof('2', 7, proofTags(id('c'), 'data')),
      proof('3', 8, proofTags(id('d'), { reason: 'BackupDamaged', detail: '' })),
    ];
    const found = backupsIn(all).map(({ proof: of, snapshot }) => [snapshot[0], of]);
    expect(found).to.deep.equal([
      ['a', 'none'],
      ['b', 'none'],
      ['c', 'data'],
    ]);
  });

  it('keep why a proof has failed, with commas, lines and letters of any kind', () => {
    const failure = { reason: 'ProofFileMissing', detail: '3\nñandú, b' } as const;
    const tags = proofTags(id('a'), failure);
    for (const tag of tags) expect(tag).to.match(/^[\w:-]+$/);
    const [backup] = backupsIn([data('a', 1), proof('b', 2, tags)]);
    expect(backup).to.include({ proof: 'failed', ...failure });
  });

  it('say of each proof whether Odoo was started too, by the last one', () => {
    const started = proof('b', 2, proofTags(id('a'), 'boot'));
    expect(backupsIn([data('a', 1), started])[0]).to.include({ proof: 'boot', reason: '' });
    const failed = proofTags(id('a'), { reason: 'ProofBoot', detail: 'x' });
    const later = backupsIn([data('a', 1), started, proof('c', 3, failed)]);
    expect(later[0]).to.include({ proof: 'failed', reason: 'ProofBoot' });
  });

  it('say of the last one which end of the instance it is of, and what is not in it', () => {
    const last = data('a', 1);
    const [end, nightly] = backupsIn([
      { ...last, tags: [...last.tags, ...endTags('20261124T101500Z', 3)] },
      data('b', 2),
    ]);
    expect(end).to.include({ ending: '20261124T101500Z', leftOut: 3 });
    expect(nightly).not.to.have.any.keys('ending', 'leftOut');
  });

  it('show no reason that is none', () => {
    const tags = ['proof', `of:${id('a')}`, 'reason:Invented', 'detail:eA'];
    const [backup] = backupsIn([data('a', 1), proof('b', 2, tags)]);
    expect(backup).to.include({ proof: 'failed', reason: '' });
  });

  const claim = (digit: string, hour: number, host: string) =>
    proof(digit, hour, [hostTag(host), 'run:1']);
  const of = (host: string, digit: string, hour: number) => {
    const backup = data(digit, hour);
    return { ...backup, tags: [...backup.tags, hostTag(host)] };
  };

  it('take nothing over: their host may have been replaced while they were made', () => {
    const taken = [claim('a', 1, 'old'), of('old', 'b', 2), claim('c', 3, 'new')];
    expect(claimIn(taken)?.id).to.equal(id('c'));
    expect(claimIn([...taken, of('old', 'd', 4)])?.id).to.equal(id('c'));
    expect(claimIn([data('a', 1), of('old', 'b', 2)])?.id, 'nobody has said so').to.equal(id('b'));
    expect(claimIn([data('a', 1)])).to.equal(undefined);
  });

  it('are none of what a host has made that was replaced by then', () => {
    const all = [
      of('old', 'a', 1),
      claim('b', 2, 'old'),
      of('old', 'c', 3),
      claim('d', 4, 'new'),
      of('old', 'e', 5),
      of('new', 'f', 6),
    ];
    const found = backupsIn(all).map(({ snapshot }) => snapshot);
    expect(found).to.deep.equal([id('a'), id('c'), id('f')]);
  });
});
