import { expect } from 'chai';
import { PasswordPool } from '../../../src/databases/password-pool.ts';

const roundsOf = (hash: string) => Number(hash.split('$')[2]);

describe('PasswordPool', () => {
  it('has hashes with Odoo’s number of rounds for pooled passwords, and quick ones for others', async function () {
    this.timeout(60_000);
    const passwords = new PasswordPool();
    const early = passwords.take();
    expect(roundsOf(await passwords.hashOf(early))).to.equal(1_000);
    for (let count = 0; count < 5; count += 1) await passwords.restock();
    const taken = Array.from({ length: 9 }, () => passwords.take());
    expect(new Set(taken).size).to.equal(9);
    const rounds = await Promise.all(taken.map(async (it) => roundsOf(await passwords.hashOf(it))));
    expect(rounds).to.deep.equal([...Array(8).fill(600_000), 1_000]);
  });

  it('begins with one, and is filled by two at a time: a start has other work to do', async function () {
    this.timeout(60_000);
    const passwords = new PasswordPool();
    /** How many are ready, which takes them. */
    const ready = async () => {
      const taken = Array.from({ length: 9 }, () => passwords.take());
      const hashes = await Promise.all(taken.map((it) => passwords.hashOf(it)));
      return hashes.filter((hash) => roundsOf(hash) === 600_000).length;
    };
    await Promise.all([passwords.begin(), passwords.begin()]);
    expect(await ready()).to.equal(1);
    await passwords.begin();
    await Promise.all([passwords.restock(), passwords.restock()]);
    expect(await ready()).to.equal(5);
  });

  it('returns a prepared hash once, so that two databases never share a salt', async function () {
    this.timeout(60_000);
    const passwords = new PasswordPool();
    await passwords.restock();
    const password = passwords.take();
    expect(await passwords.hashOf(password)).not.to.equal(await passwords.hashOf(password));
  });
});
