import { expect } from 'chai';
import { backupsIn, DATA_TAG, endTags, proofTags } from '../../../src/backups/snapshot-tags.ts';

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
});
