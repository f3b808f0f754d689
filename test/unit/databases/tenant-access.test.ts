import { expect } from 'chai';
import type { Specs } from '../../../src/databases/database-spec.ts';
import { Replacements } from '../../../src/databases/replacement.ts';
import { TenantAccess } from '../../../src/databases/tenant-access.ts';
import { Cluster } from '../../../src/postgres/cluster.ts';
import { LOOK, type TenantLogin } from '../../../src/postgres/tenant-session.ts';
import { anInstance } from '../../support/samples.ts';

/** A server that takes every password, whose role has the last one. */
class RememberingCluster extends Cluster {
  inForce = '';
  /** The password with which it was entered last. */
  entered = '';

  override async ensureRole(role: string, password: string): Promise<void> {
    if (role === 'ms_k3x9ab_7') this.inForce = password;
  }

  override async shutOut(_: string, password: string): Promise<void> {
    this.inForce = password;
  }

  override async administer<T>(): Promise<T> {
    return undefined as T;
  }

  override async prepare(): Promise<void> {}

  override async disconnect(): Promise<void> {}

  override async enter<T>({ password }: TenantLogin): Promise<T> {
    this.entered = password;
    return undefined as T;
  }
}

describe('the password of an instance’s role', () => {
  const instance = anInstance({ id: 7 });
  let cluster: RememberingCluster;
  let access: TenantAccess;
  let replacements: Replacements;
  /** On the disk. */
  let kept: string;
  /** Called once the password has been read, before it is used. */
  let hasRead: () => Promise<void>;

  beforeEach(() => {
    cluster = new RememberingCluster({ socketDir: '/run/x', user: 'postgres', password: 'x' });
    kept = 'old';
    hasRead = async () => {};
    const specs = {
      of: async () => {
        const spec = { own: null, dbPassword: kept, url: '' };
        await hasRead();
        return spec;
      },
    } as unknown as Specs;
    access = new TenantAccess({ install: 'k3x9ab', shared: cluster, specs });
    replacements = new Replacements({ install: 'k3x9ab', specs, access });
  });

  const shutOut = () =>
    access.shutOut(instance, async () => {
      kept = 'new';
      return kept;
    });

  for (const [who, read, work] of [
    ['who enters its database', 1, () => access.enter(instance, LOOK, async () => {})],
    ['who has begun to copy its database', 1, () => replacements.copy(instance)],
    ['who copies its database', 3, () => replacements.copy(instance)],
  ] as const)
    it(`is never given back by ${who} once it was renewed`, async () => {
      let fence: Promise<void> | undefined;
      let reads = 0;
      hasRead = async () => {
        if (++reads === read) fence = shutOut();
        // What waits for nobody is over by then.
        await new Promise(setImmediate);
      };
      await work();
      if (!fence) throw new TypeError('the password was not read so often');
      await fence;
      expect(cluster.inForce).to.equal('new');
    });

  it('may be renewed while a restore fills a database: that is handed over with the new one', async () => {
    await replacements.prepare(instance, '', shutOut);
    expect(cluster.entered).to.equal('new');
    expect(cluster.inForce).to.equal('new');
  });
});
