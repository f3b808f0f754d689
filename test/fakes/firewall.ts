import type { Firewall } from '../../src/interfaces.ts';

/** Rules that are there or not, until the test takes them away or makes netfilter unusable. */
export class FakeFirewall implements Firewall {
  areThere = false;
  isUsable = true;

  async ensure(): Promise<void> {
    if (!this.isUsable) throw new Error('nft: Operation not supported');
    this.areThere = true;
  }
}
