import { expect } from 'chai';
import { RetryableError } from '../../../src/errors.ts';
import { Hosts } from '../../../src/postgres/hosts.ts';

const CA = new URL('../../../package.json', import.meta.url).pathname; // read, never looked at

describe('the hosts of a Postgres', () => {
  let asked: unknown[];
  beforeEach(() => {
    asked = [];
  });
  const hosts = (...names: string[]) => new Hosts({ hosts: names, port: 5433, caFile: CA });
  const away = (code: string) => Object.assign(new Error(code), { code });

  /** Connects; each host that is named here fails so. */
  const connect = (to: Hosts, failures: Readonly<Record<string, Error>> = {}) =>
    to.connect(async ({ host = '' }) => {
      asked.push(host);
      if (failures[host]) throw failures[host];
      return host;
    });

  it('is one at a socket, without TLS', () => {
    const { ways } = new Hosts({ socketDir: '/run/x' });
    expect(ways).to.deep.equal([{ host: '/run/x', connectionTimeoutMillis: 30_000 }]);
  });

  it('are asked with TLS whose certificate is verified, for three seconds each', () => {
    for (const way of hosts('a', 'b').ways) {
      expect(way).to.include({ port: 5433, keepAlive: true, connectionTimeoutMillis: 3_000 });
      expect(way.ssl).to.include({ rejectUnauthorized: true }).and.have.property('ca');
    }
  });

  for (const failure of [
    away('ECONNREFUSED'),
    away('EHOSTUNREACH'),
    away('ENOTFOUND'),
    away('57P03'),
    away('ECONNRESET'),
    away('EPIPE'),
    new Error('timeout expired'),
    new RetryableError('PostgresUnavailable', 'a standby'),
  ])
    it(`are asked one after the other until one is there: ${failure.message}`, async () => {
      expect(await connect(hosts('a', 'b', 'c'), { a: failure })).to.equal('b');
      expect(asked).to.deep.equal(['a', 'b']);
    });

  it('are asked from the one on that took writes last', async () => {
    const three = hosts('a', 'b', 'c');
    await connect(three, { a: away('ECONNREFUSED') });
    expect(await connect(three)).to.equal('b');
    expect(await connect(three, { b: away('ECONNREFUSED') })).to.equal('c');
    expect(asked).to.deep.equal(['a', 'b', 'b', 'b', 'c']);
  });

  it('are not asked further where one refuses: a wrong password is wrong everywhere, a wrong certificate an impostor’s', async () => {
    for (const refusal of [away('28P01'), away('SELF_SIGNED_CERT_IN_CHAIN')])
      expect(await connect(hosts('a', 'b'), { a: refusal }).catch((error) => error)).to.equal(
        refusal,
      );
    expect(asked).to.deep.equal(['a', 'a']);
  });

  it('are away where the last one is', async () => {
    const last = away('ETIMEDOUT');
    const failures = { a: away('ECONNREFUSED'), b: last };
    expect(await connect(hosts('a', 'b'), failures).catch((error) => error)).to.equal(last);
  });

  it('are rather broken off than away where one was: a tenant may be why', async () => {
    const reset = away('ECONNRESET');
    const failures = { a: reset, b: new RetryableError('PostgresUnavailable', 'a standby') };
    expect(await connect(hosts('a', 'b'), failures).catch((error) => error)).to.equal(reset);
    expect(asked).to.deep.equal(['a', 'b']);
  });

  const answering = (isStandby: boolean | undefined) => {
    const rows = isStandby === undefined ? [] : [{ isStandby }];
    return {
      query: async () => {
        asked.push('standby?');
        return { rows };
      },
    } as never;
  };

  it('refuse a standby, and one that does not say what it is', async () => {
    const two = hosts('a', 'b');
    for (const answer of [true, undefined])
      expect(await two.requireWritable(answering(answer)).catch((error) => error)).to.be.instanceOf(
        RetryableError,
      );
    await two.requireWritable(answering(false));
  });

  it('are not asked whether they are standbys where there is one', async () => {
    await hosts('a').requireWritable(answering(true));
    expect(asked).to.deep.equal([]);
  });
});
