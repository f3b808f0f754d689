import { pbkdf2Sync } from 'node:crypto';
import { expect } from 'chai';
import { hashPassword } from '../../src/password-hash.ts';

const fromPasslib = (text: string) => Buffer.from(text.replaceAll('.', '+'), 'base64');

describe('hashPassword', () => {
  it('is what Odoo verifies a password against, with a salt of its own', async function () {
    this.timeout(20_000); // two hashes and a check are three times a third of a second on a quick machine
    const [first, second] = await Promise.all([hashPassword('geheim'), hashPassword('geheim')]);
    const [, scheme, rounds, salt = '', checksum = ''] = (first ?? '').split('$');
    expect([scheme, rounds]).to.deep.equal(['pbkdf2-sha512', '600000']);
    expect(`${salt}${checksum}`).to.match(/^[A-Za-z0-9./]+$/);
    const expected = pbkdf2Sync('geheim', fromPasslib(salt), 600_000, 64, 'sha512');
    expect(fromPasslib(checksum)).to.deep.equal(expected);
    expect(second).not.to.equal(first);
  });
});
