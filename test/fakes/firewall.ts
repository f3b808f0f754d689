import type { Firewall } from '../../src/interfaces.ts';

/** Firewall rules in memory, which a test can remove, or make netfilter unusable. */
export class FakeFirewall implements Firewall {
  areThere = false;
  isUsable = true;

  async ensure(): Promise<void> {
    if (!this.isUsable) throw new Error('nft: Operation not supported');
    this.areThere = true;
  }
}
