import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { subscriptionDoc } from '../../support/subscription-doc.ts';

describe('docs/subscription.md', () => {
  it('is up to date with the code (test/support/write-subscription-doc.ts writes it)', () => {
    expect(readFileSync('docs/subscription.md', 'utf8')).to.equal(subscriptionDoc());
  });
});
