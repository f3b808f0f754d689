import { expect } from 'chai';
import { redact, registerSecret } from '../../src/log.ts';

describe('redact', () => {
  it('replaces a secret wherever it stands', () => {
    const secret = registerSecret('hunter2-hunter2');
    expect(redact(`a ${secret}, b=${secret}`)).to.equal('a [redacted], b=[redacted]');
  });

  it('leaves no rest of a secret that begins like another', () => {
    registerSecret('open-sesame');
    registerSecret('open-sesame-and-more');
    expect(redact('open-sesame-and-more')).not.to.include('more');
  });

  it('finds a secret in a line of JSON although it is escaped there', () => {
    const secret = registerSecret('quote " and backslash \\ inside');
    expect(redact(JSON.stringify({ secret }))).not.to.include('backslash');
  });

  it('does not register short words', () => {
    registerSecret('odoo');
    expect(redact('odoo is up')).to.equal('odoo is up');
  });
});
