import { expect } from 'chai';
import { PasswordPool } from '../../../src/databases/password-pool.ts';

const roundsOf = (hash: string) => Number(hash.split('$')[2]);

describe('PasswordPool', () => {
  it('has hashes with Odoo’s number of rounds for pooled passwords, and quick ones for others', async function () {
    this.timeout(60_000);
    const passwords = new PasswordPool();
    const early = passwords.take();
    expect(roundsOf(await passwords.hashOf(early))).to.equal(1_000);
    await Promise.all([passwords.restock(), passwords.restock()]);
    const taken = Array.from({ length: 9 }, () => passwords.take());
    expect(new Set(taken).size).to.equal(9);
    const rounds = await Promise.all(taken.map(async (it) => roundsOf(await passwords.hashOf(it))));
    expect(rounds).to.deep.equal([...Array(8).fill(600_000), 1_000]);
  });

  it('returns a prepared hash once, so that two databases never share a salt', async function () {
    this.timeout(60_000);
    const passwords = new PasswordPool();
    await passwords.restock();
    const password = passwords.take();
    expect(await passwords.hashOf(password)).not.to.equal(await passwords.hashOf(password));
  });
});
