import { expect } from 'chai';
import { isPrivate, pinHost } from '../../../src/repositories/git-host.ts';

describe('the host of a repository', () => {
  for (const address of [
    ...['0.0.0.0', '10.0.0.1', '100.64.0.1', '127.0.0.1', '127.255.255.255', '169.254.169.254'],
    ...[
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '198.18.0.1',
      '224.0.0.1',
      '255.255.255.255',
    ],
    ...[
      '::',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:10.0.0.1',
      '64:ff9b::7f00:1',
      'fd00::1',
      'fe80::1',
    ],
    'ff02::1',
  ])
    it(`is private at ${address}`, () => expect(isPrivate(address)).to.equal(true));

  for (const address of ['1.1.1.1', '100.128.0.1', '172.32.0.1', '2606:4700::1', '::ffff:1.1.1.1'])
    it(`is public at ${address}`, () => expect(isPrivate(address)).to.equal(false));

  it('is accessed at the resolved addresses and its port', async () => {
    const host = await pinHost('http://localhost:8080/x', ['localhost']);
    expect(host).to.include({ name: 'localhost', port: '8080' });
    expect(host.addresses).to.include.oneOf(['127.0.0.1', '::1']);
    expect((await pinHost('https://1.1.1.1/x')).port).to.equal('443');
  });

  it('without an address is retried later', async () => {
    const error = await pinHost('https://nowhere.invalid/x').catch((reason) => reason);
    expect(error).to.include({ name: 'RetryableError', reason: 'RepositoryUnreachable' });
  });
});
