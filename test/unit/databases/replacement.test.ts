import { expect } from 'chai';
import type { ClientBase } from 'pg';
import type { Specs } from '../../../src/databases/database-spec.ts';
import { Replacements } from '../../../src/databases/replacement.ts';
import { TenantAccess } from '../../../src/databases/tenant-access.ts';
import { Cluster } from '../../../src/postgres/cluster.ts';
import { anInstance } from '../../support/samples.ts';

/** A server on which every statement succeeds and no database is found. */
class RecordedCluster extends Cluster {
  readonly statements: string[] = [];

  override administer<T>(work: (client: ClientBase) => Promise<T>): Promise<T> {
    const query = async (statement: string) => {
      this.statements.push(statement);
      return { rows: [], rowCount: 0 };
    };
    return work({ query } as unknown as ClientBase);
  }
}

describe('Replacements', () => {
  it('give the copy of a large database an hour, and that connection no longer than others afterwards', async () => {
    const cluster = new RecordedCluster({ socketDir: '/run/x', user: 'postgres', password: 'x' });
    const spec = { own: null, dbPassword: 'secret', url: '' };
    const specs = { of: async () => spec } as unknown as Specs;
    const access = new TenantAccess({ install: 'k3x9ab', shared: cluster, specs });
    const replacements = new Replacements({ install: 'k3x9ab', specs, access });
    await replacements.copy(anInstance({ id: 7, wasReady: true }));
    const { statements } = cluster;
    const copied = statements.findIndex((one) => one.startsWith('CREATE DATABASE'));
    expect(statements.slice(copied - 1, copied + 2)).to.deep.equal([
      `SET statement_timeout = ${60 * 60_000}`,
      'CREATE DATABASE "ms_k3x9ab_7_restoring" TEMPLATE "ms_k3x9ab_7" ALLOW_CONNECTIONS false',
      'RESET statement_timeout',
    ]);
  });
});
