import { expect } from 'chai';
import { recordFor, recordOf } from '../../src/reconcile-host.ts';
import { anInstance, aSpare } from '../support/samples.ts';

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

  it('is another’s where the spare that it was has been sold a second time, or is one again', () => {
    const soldAs = { lineId: 4, unit: 1, madeAt: '2026-11-27 10:00:00.000001' };
    const sold = anInstance({ id: 7, spare: 'sold', wasReady: false, soldAs });
    const marked = { ...sold, isCopy: false, isSpare: false };
    expect(recordOf(marked, undefined)).to.equal('lost');
    expect(recordOf(marked, sold)).to.equal('its own');
    expect(recordOf(null, sold), 'older than the marks').to.equal('its own');
    const second = { ...sold, soldAs: { ...soldAs, lineId: 5 } };
    expect(recordOf(marked, second)).to.equal('taken');
    expect(recordOf(marked, aSpare({ id: 7 }))).to.equal('taken');
  });
});
