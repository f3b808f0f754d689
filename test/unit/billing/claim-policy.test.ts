import { expect } from 'chai';
import { decideClaim, isPaid, wholeUnits } from '../../../src/billing/claim-policy.ts';
import type { Invoice, InvoiceLine } from '../../../src/billing/invoice-types.ts';
import { anInvoice, aPlanLine } from '../../support/samples.ts';

const LIMITS = { unitsPerLine: 20, claimsPerPlan: 20 };

/** The units claimed for an invoice of these lines, as `line/unit`. */
function units(
  lines: ReadonlyArray<Partial<InvoiceLine>>,
  invoice: Partial<Invoice> = {},
): string[] {
  const decision = decideClaim(anInvoice({ lines: lines.map(aPlanLine), ...invoice }), LIMITS);
  return decision.units.map(({ lineId, unit }) => `${lineId}/${unit}`);
}

function holdOf(lines: ReadonlyArray<Partial<InvoiceLine>>, invoice: Partial<Invoice> = {}) {
  return decideClaim(anInvoice({ lines: lines.map(aPlanLine), ...invoice }), LIMITS).hold?.reason;
}

describe('decideClaim', () => {
  const lines: ReadonlyArray<[what: string, line: Partial<InvoiceLine>, units: string[]]> = [
    ['one unit', {}, ['31/1']],
    ['three units', { quantity: 3 }, ['31/1', '31/2', '31/3']],
    ['whole units only', { quantity: 2.7 }, ['31/1', '31/2']],
    ['a negative quantity', { quantity: -1 }, []],
    ['no quantity', { quantity: 0 }, []],
    ['some claimed', { quantity: 3, claimedUnits: [2] }, ['31/1', '31/3']],
    ['all claimed', { quantity: 2, claimedUnits: [1, 2] }, []],
    ['claimed, then lowered', { quantity: 1, claimedUnits: [1, 2, 3] }, []],
    ['a full discount', { priceSubtotal: 0 }, ['31/1']],
    ['a negative line', { priceSubtotal: -30 }, []],
    ['a section', { displayType: 'line_section' }, []],
    ['a note', { displayType: 'line_note' }, []],
    ['no plan', { isPlan: false }, []],
    ['a manual plan', { provision: 'manual' }, []],
    ['invoiced since the plan began', { isSincePlan: true, planSince: '2026-11-23' }, ['31/1']],
    [
      'invoiced and paid before the plan began',
      { isSincePlan: false, planSince: '2026-11-23' },
      [],
    ],
    ['a plan without a beginning', { planSince: '' }, []],
    ['twenty units', { quantity: 20, claimedUnits: range(1, 19) }, ['31/20']],
  ];
  for (const [what, line, expected] of lines)
    it(`${what} → ${expected.join(' ') || 'nothing'}`, () => {
      expect(units([line])).to.deep.equal(expected);
      expect(holdOf([line])).to.equal(undefined);
    });

  const invoices: ReadonlyArray<[what: string, invoice: Partial<Invoice>, isPaid: boolean]> = [
    ['posted and paid', {}, true],
    ['in payment, where that counts as paid', { paymentState: 'in_payment' }, true],
    ['unpaid', { paymentState: 'not_paid' }, false],
    ['partly paid', { paymentState: 'partial' }, false],
    ['reversed', { paymentState: 'reversed' }, false],
    ['in draft', { state: 'draft' }, false],
    ['cancelled', { state: 'cancel' }, false],
    ['a vendor bill', { moveType: 'in_invoice' }, false],
    ['a credit note', { moveType: 'out_refund' }, false],
    ['without a partner', { partnerId: 0 }, false],
    ['credited in full', { reversedRatio: 1 }, false],
    ['credited in part', { reversedRatio: 0.5 }, true],
  ];
  for (const [what, invoice, expected] of invoices)
    it(`an invoice ${what} ${expected ? 'provisions' : 'does not provision'}`, () => {
      expect(units([{}], invoice)).to.have.length(expected ? 1 : 0);
    });

  it('counts in_payment as paid only where the setting says so', () => {
    expect(isPaid(anInvoice({ paymentState: 'in_payment' }), false)).to.equal(false);
    expect(isPaid(anInvoice({ paymentState: 'paid' }), false)).to.equal(true);
  });

  it('claims all lines of an invoice, in order', () => {
    const two = [{ id: 1 }, { id: 2, displayType: 'line_section' }, { id: 3, quantity: 2 }];
    expect(units(two)).to.deep.equal(['1/1', '3/1', '3/2']);
  });

  it('holds a line with too many units', () => {
    for (const quantity of [21, 10_000]) {
      expect(holdOf([{ quantity }])).to.equal('TooManyUnits');
      expect(units([{ quantity }])).to.deep.equal([]);
    }
  });

  it('holds too many units of one plan at once', () => {
    expect(holdOf([{ backlog: 20 }])).to.equal(undefined);
    expect(holdOf([{ backlog: 21 }])).to.equal('TooManyClaims');
  });

  it('holds a part of a unit, until it is approved', () => {
    expect(holdOf([{ quantity: 0.5 }])).to.equal('PartOfAUnit');
    expect(units([{ id: 1 }, { id: 2, quantity: 0.5 }])).to.deep.equal([]);
    const approved = { approved: true, hold: 'PartOfAUnit' };
    expect(units([{ id: 1 }, { id: 2, quantity: 0.5 }], approved)).to.deep.equal(['1/1']);
  });

  it('holds what is older than the plan and paid since, and creates it once approved', () => {
    const older = { isSincePlan: false, planSince: '2026-11-23' };
    const paidSince = { invoiceDay: '2026-11-20', paidDay: '2026-11-23' };
    expect(holdOf([older], paidSince)).to.equal('PlanSince');
    expect(units([older], paidSince)).to.deep.equal([]);
    expect(holdOf([{ ...older, claimedUnits: [1] }], paidSince)).to.equal(undefined);
    expect(units([older], { approved: true })).to.deep.equal(['31/1']);
  });

  it('holds a copy that may renew what the first one sold', () => {
    const copy = { mayRenew: ['MS/SUB/2026/00007'] };
    expect(holdOf([copy])).to.equal('Duplicate');
    expect(units([copy])).to.deep.equal([]);
    expect(units([copy], { approved: true, hold: 'Duplicate' })).to.deep.equal(['31/1']);
    expect(holdOf([{ ...copy, claimedUnits: [1] }])).to.equal(undefined);
  });

  it('holds a trial that its customer has had already', () => {
    const again = { triedBefore: ['INV/2026/00007'] };
    expect(holdOf([again])).to.equal('TrialAgain');
    expect(units([again])).to.deep.equal([]);
    expect(units([again], { approved: true, hold: 'TrialAgain' })).to.deep.equal(['31/1']);
    expect(holdOf([{ ...again, claimedUnits: [1] }])).to.equal(undefined);
  });

  it('holds an invoice reconciled with a credit note that names no invoice', () => {
    const settled = { paymentState: 'reversed', reversedRatio: 1, unlinkedCredit: 'RINV/1' };
    expect(holdOf([{}], settled)).to.equal('UnlinkedCredit');
    expect(holdOf([{ claimedUnits: [1] }], settled)).to.equal(undefined);
    expect(holdOf([{ provision: 'manual' }], settled)).to.equal(undefined);
    expect(holdOf([{}], { ...settled, approved: true })).to.equal(undefined);
    expect(units([{}], { unlinkedCredit: 'RINV/1', approved: true })).to.deep.equal(['31/1']);
  });

  it('holds the whole invoice, not only the line', () => {
    expect(units([{ id: 1 }, { id: 2, quantity: 21 }])).to.deep.equal([]);
  });

  it('creates everything once a person has approved', () => {
    const approved = { approved: true };
    expect(units([{ quantity: 25, backlog: 99 }], approved)).to.have.length(25);
    expect(holdOf([{ quantity: 25 }], approved)).to.equal(undefined);
  });

  it('keeps a hold until a person approves, even when its reason has passed', () => {
    expect(units([{}], { hold: 'TooManyClaims' })).to.deep.equal([]);
    expect(units([{}], { hold: 'TooManyClaims', approved: true })).to.deep.equal(['31/1']);
  });

  it('names the number sold and the limit', () => {
    const { hold } = decideClaim(anInvoice({ lines: [aPlanLine({ quantity: 21 })] }), LIMITS);
    expect(hold).to.deep.equal({ reason: 'TooManyUnits', detail: [21, 20] });
  });

  it('counts whole units', () => {
    const counted = [-3, 0, 0.999, 1, 1.5, 20].map(wholeUnits);
    expect(counted).to.deep.equal([0, 0, 0, 1, 1, 20]);
  });
});

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
