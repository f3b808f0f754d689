import { pbkdf2Sync } from 'node:crypto';
import { expect } from 'chai';
import { hashRandomSecret } from '../../../src/host/password-hash.ts';

const fromPasslib = (text: string) => Buffer.from(text.replaceAll('.', '+'), 'base64');

describe('hashRandomSecret', () => {
  it('is what Odoo verifies a password against, with a salt of its own', async () => {
    const secret = 'wZ3k8yQm';
    const [first, second] = await Promise.all([hashRandomSecret(secret), hashRandomSecret(secret)]);
    const [, scheme, rounds, salt = '', checksum = ''] = (first ?? '').split('$');
    expect([scheme, rounds]).to.deep.equal(['pbkdf2-sha512', '1000']);
    expect(`${salt}${checksum}`).to.match(/^[A-Za-z0-9./]+$/);
    const expected = pbkdf2Sync(secret, fromPasslib(salt), 1_000, 64, 'sha512');
    expect(fromPasslib(checksum)).to.deep.equal(expected);
    expect(second).not.to.equal(first);
  });
});
