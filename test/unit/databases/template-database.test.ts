import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Client } from 'pg';
import type { OdooInit } from '../../../src/databases/odoo-init.ts';
import {
  type TemplateDatabase,
  TemplateDatabases,
} from '../../../src/databases/template-database.ts';
import { type TemplateKey, templateHash } from '../../../src/databases/template-key.ts';
import { TerminalError } from '../../../src/errors.ts';
import type { Cluster } from '../../../src/postgres/cluster.ts';
import type { TenantSession } from '../../../src/postgres/tenant-session.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const KEY: TemplateKey = {
  imageId: 'sha256:1',
  modules: ['sale_management'],
  repositories: [],
  languages: ['es_ES'],
  countryCode: 'ES',
};

describe('TemplateDatabases', () => {
  const folder = temporaryFolder();
  /** Each database's comment. */
  let databases: Map<string, string>;
  let installed: string[];
  let inits: number;
  let init: OdooInit;
  /** Called while a database is being dropped. */
  let dropping: () => void;

  /** A Postgres that knows which databases exist and answers what is installed in them. */
  const cluster = {
    address: { socketDir: '/run/postgresql', user: 'admin', password: 'secret' },
    has: async (name: string) => databases.has(name),
    ensureRole: async () => {},
    create: async (name: string) => void databases.set(name, ''),
    drop: async (name: string) => void databases.delete(name),
    dropRole: async () => {},
    disconnect: async () => {},
    enter: async <T>(_login: unknown, _purpose: unknown, work: (it: TenantSession) => Promise<T>) =>
      work({
        run: async () => 0,
        rows: async (row) => row.array().parse(installed.map((name) => ({ name }))),
      }),
    administer: async <T>(work: (client: Client) => Promise<T>) => {
      const one = async (sql: string) => {
        const [, from, to] = /^ALTER DATABASE "(\w+)" RENAME TO "(\w+)"/.exec(sql) ?? [];
        const [, noted, comment] = /^COMMENT ON DATABASE "(\w+)" IS '(.*)'$/.exec(sql) ?? [];
        const [, dropped] = /^DROP DATABASE "(\w+)"/.exec(sql) ?? [];
        if (from && to && databases.delete(from)) databases.set(to, '');
        if (noted) databases.set(noted, comment ?? '');
        if (dropped) dropping();
        if (dropped) databases.delete(dropped);
        if (sql.includes('shobj_description'))
          return { rows: [...databases].map(([name, said]) => ({ name, comment: said })) };
        return { rows: [] };
      };
      const query = async (sql: string) => {
        let last = { rows: [] as Array<{ name: string; comment: string }> };
        for (const statement of sql.split(';\n')) last = await one(statement);
        return last;
      };
      return work({ query } as unknown as Client);
    },
  } as unknown as Cluster;

  const templates = () =>
    new TemplateDatabases({
      install: 'abc123',
      cluster,
      dir: folder(),
      containerPrefix: 'ms-abc123-template',
      init: (run) => init(run),
    });
  const ensure = (all: TemplateDatabases) =>
    all.ensure('odoo:19.0', KEY, () => {}, new AbortController().signal);

  const use = (all: TemplateDatabases, work: (template: TemplateDatabase) => Promise<void>) =>
    all.using('odoo:19.0', KEY, () => {}, new AbortController().signal, work);
  const noteOf = (database: string, usedAt: string) =>
    JSON.stringify({ ...JSON.parse(databases.get(database) ?? ''), usedAt });

  beforeEach(() => {
    databases = new Map();
    installed = ['web', 'auth_signup', 'sale_management'];
    inits = 0;
    dropping = () => {};
    init = async ({ filestoreDir, database }) => {
      inits += 1;
      mkdirSync(join(filestoreDir, database), { recursive: true });
    };
  });

  it('builds once for concurrent callers, and never again', async () => {
    const all = templates();
    const [first, ...others] = await Promise.all([ensure(all), ensure(all), ensure(all)]);
    expect(inits).to.equal(1);
    for (const other of others) expect(other).to.deep.equal(first);
    expect([...databases.keys()]).to.deep.equal([first.database]);
    expect(existsSync(join(first.filestoreDir, first.database))).to.equal(true);
    expect(await ensure(templates()), 'after a restart').to.deep.equal(first);
    expect(inits).to.equal(1);
  });

  it('leaves nothing of a failed build, and builds again at the next call', async () => {
    const all = templates();
    const working = init;
    init = async (run) => {
      await working(run);
      throw new Error('killed');
    };
    const [one, other] = await Promise.allSettled([ensure(all), ensure(all)]);
    expect([one.status, other.status]).to.deep.equal(['rejected', 'rejected']);
    expect([...databases.keys(), ...readdirSync(folder())]).to.deep.equal([]);
    init = working;
    await ensure(all);
    expect(databases.size).to.equal(1);
  });

  it('checks in the database, not by the exit code, what is installed', async () => {
    installed = ['web', 'auth_signup'];
    const error = await ensure(templates()).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(TerminalError).with.property('detail', 'sale_management');
    expect(databases.size).to.equal(0);
  });

  describe('trim', () => {
    const now = new Date();
    const none = new Set<string>();
    const isFresh = async () => false;
    const isStale = async () => true;

    it('drops a stale template, its files and its role, unless a plan needs it', async () => {
      const all = templates();
      const { database } = await ensure(all);
      expect(await all.trim(new Set([templateHash(KEY)]), isStale, now)).to.deep.equal([]);
      expect(await all.trim(none, isFresh, now)).to.deep.equal([]);
      expect(await all.trim(none, isStale, now)).to.deep.equal([database]);
      expect([...databases.keys(), ...readdirSync(folder())]).to.deep.equal([]);
    });

    it('drops what was not used for long, by the comment on the database', async () => {
      const later = new Date(now.getTime() + 31 * 24 * 3600_000);
      const { database } = await ensure(templates());
      expect(await templates().trim(none, isFresh, later)).to.deep.equal([database]);
    });

    it('keeps what is being cloned, and records its use', async () => {
      const all = templates();
      await use(all, async ({ database }) => {
        expect(await all.trim(none, isStale, now)).to.deep.equal([]);
        databases.set(database, noteOf(database, '2020-01-01T00:00:00.000Z'));
      });
      expect(await all.trim(none, isFresh, now)).to.deep.equal([]);
      expect(await templates().trim(none, isFresh, now), 'after a restart').to.deep.equal([]);
    });

    it('builds again for a call during the drop of the template', async () => {
      const all = templates();
      await ensure(all);
      let asked = Promise.resolve();
      dropping = () => {
        asked = use(all, async ({ database }) => {
          expect(databases.has(database)).to.equal(true);
        });
      };
      expect(await all.trim(none, isStale, now)).to.have.length(1);
      await asked;
      expect(inits).to.equal(2);
    });

    it('drops leftovers of a killed build, not a build under way', async () => {
      const all = templates();
      const left = `ms_abc123_t_${'0'.repeat(16)}_new`;
      databases.set(left, '');
      const working = init;
      init = async (run) => {
        expect(await all.trim(none, isFresh, now)).to.deep.equal([left]);
        await working(run);
      };
      const { database } = await ensure(all);
      expect([...databases.keys()]).to.deep.equal([database]);
    });

    it('leaves databases without the sidecar’s comment alone', async () => {
      const { database } = await ensure(templates());
      databases.set(database, 'do not touch');
      expect(await templates().trim(none, isStale, now)).to.deep.equal([]);
    });
  });
});
