import { expect } from 'chai';
import { DOCKERS_POOLS, freeBlocks } from '../../../src/docker/address-pools.ts';

describe("Docker's addresses for networks", () => {
  for (const [what, subnets, free] of [
    ['nothing is used', [], 31],
    ['its own bridge is there', ['172.17.0.0/16'], 30],
    ['two small networks share a block', ['172.18.0.0/24', '172.18.1.0/24'], 30],
    ["one of the host's covers many blocks", ['172.16.0.0/12'], 16],
    ['an address of the host lies in a block', ['192.168.17.5/24'], 30],
    ['a network lies elsewhere', ['10.0.0.0/8'], 31],
    ['all is covered', ['0.0.0.0/0'], 0],
    [
      'what is no IPv4 subnet is left out',
      ['fd00::/64', '', 'x', '999.1.1.1/8', '172.17.5.0/33'],
      31,
    ],
  ] as const)
    it(`are for ${free} networks where ${what}`, () =>
      expect(freeBlocks(DOCKERS_POOLS, subnets)).to.deep.equal({ free, total: 31 }));

  it('are as many as the daemon was given', () => {
    const pools = [{ base: '10.10.0.0/16', size: 24 }];
    expect(freeBlocks(pools, ['10.10.3.0/24'])).to.deep.equal({ free: 255, total: 256 });
    expect(freeBlocks([{ base: '10.0.0.0/8', size: 99 }], [])).to.deep.equal({ free: 0, total: 0 });
  });
});
