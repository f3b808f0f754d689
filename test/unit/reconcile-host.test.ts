import { expect } from 'chai';
import { recordFor } from '../../src/reconcile-host.ts';
import { anInstance } from '../support/samples.ts';

describe('a record that Odoo has lost', () => {
  const found = (isCopy: boolean, isSpare = false) => ({
    ...{ id: 7, running: true, hasData: true, record: 'lost' as const },
    marked: { ...anInstance({ id: 7 }), isCopy, isSpare },
  });

  it('is made again of an instance', () => {
    expect(recordFor(found(false))).to.have.length(1);
    expect(recordFor(found(false))[0]).to.include({ id: 7, running: true, hasData: true });
  });

  it('is not made of a staging copy, of a spare, nor where nobody knows whose it was', () => {
    expect(recordFor(found(true))).to.deep.equal([]);
    expect(recordFor(found(false, true))).to.deep.equal([]);
    expect(recordFor({ ...found(false), marked: null })).to.deep.equal([]);
  });
});
