import { expect } from 'chai';
import { isOwnMark } from '../../../src/instance/own-mark.ts';
import type { DesiredInstance } from '../../../src/instance/types.ts';
import { anInstance, identityOf } from '../../support/samples.ts';

const sale = { lineId: 4, unit: 1, madeAt: '2026-11-27 10:00:00.123456' };
const mark = { identity: identityOf(7), isSpare: false, soldAs: sale };
const unsoldMark = { ...mark, isSpare: true, soldAs: null };
const desired = (over: Partial<DesiredInstance>) =>
  anInstance({ id: 7, spare: 'sold', wasReady: false, soldAs: sale, ...over });

describe('whose a mark is', () => {
  it('is told by the identity alone, of what was made for who has it', () => {
    expect(isOwnMark(mark, desired({ spare: 'no', soldAs: null }))).to.equal(true);
    const other = { ...mark, identity: identityOf(7, 1) };
    for (const spare of ['no', 'kept', 'sold'] as const)
      expect(isOwnMark(other, desired({ spare }))).to.equal(false);
  });

  it('is, of a spare that nobody has, the spare’s and then its first customer’s', () => {
    expect(isOwnMark(unsoldMark, desired({ spare: 'kept', soldAs: null }))).to.equal(true);
    expect(isOwnMark(unsoldMark, desired({}))).to.equal(true);
  });

  it('is, of a spare that was sold, no spare’s any more', () => {
    expect(isOwnMark(mark, desired({ spare: 'kept', soldAs: null }))).to.equal(false);
  });

  it('is, until it has answered, only theirs whom it was sold to', () => {
    expect(isOwnMark(mark, desired({}))).to.equal(true);
    for (const change of [{ lineId: 5 }, { unit: 2 }, { madeAt: '2026-11-27 10:02:00.000001' }])
      expect(isOwnMark(mark, desired({ soldAs: { ...sale, ...change } }))).to.equal(false);
    expect(isOwnMark(mark, desired({ soldAs: null }))).to.equal(false);
    expect(isOwnMark({ ...mark, soldAs: null }, desired({}))).to.equal(false);
    expect(isOwnMark(mark, desired({ wasReady: true, soldAs: null })), 'its own').to.equal(true);
  });
});
