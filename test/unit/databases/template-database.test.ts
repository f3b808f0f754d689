import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Client } from 'pg';
import type { Cluster } from '../../../src/databases/cluster.ts';
import {
  type OdooInit,
  TemplateDatabases,
  type TemplateKey,
  templateHash,
} from '../../../src/databases/template-database.ts';
import { TerminalError } from '../../../src/errors.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const KEY: TemplateKey = {
  imageId: 'sha256:1',
  modules: ['sale_management'],
  lang: 'es_ES',
  countryCode: 'ES',
};

describe('templateHash', () => {
  const hashOf = (change: Partial<TemplateKey>) => templateHash({ ...KEY, ...change });

  it('is the same for the same modules, however they are written down', () => {
    const one = hashOf({ modules: ['stock', 'sale_management'] });
    expect(hashOf({ modules: ['sale_management', 'web', 'stock', 'stock'] })).to.equal(one);
  });

  it('differs with the image, a module, the language and the country', () => {
    const changes = [{ imageId: 'sha256:2' }, { modules: ['stock'] }, { lang: 'en_US' }];
    const hashes = [{}, ...changes, { countryCode: 'MX' }].map(hashOf);
    expect(new Set(hashes).size).to.equal(hashes.length);
  });

  it('is the same in every country while no module asks for one', () => {
    expect(hashOf({ modules: [], countryCode: 'MX' })).to.equal(hashOf({ modules: [] }));
  });

  it('refuses what is not the name of a module', () => {
    for (const module of [
      '--init=x',
      'a,b',
      '../x',
      'Sale',
      '',
      'a b',
      'x;y',
      `a${'b'.repeat(63)}`,
    ])
      expect(() => hashOf({ modules: [module] }), module).to.throw(TerminalError);
  });
});

describe('TemplateDatabases', () => {
  const folder = temporaryFolder();
  let databases: Set<string>;
  let installed: string[];
  let inits: number;
  let init: OdooInit;

  /** A Postgres that knows which databases exist and answers what is installed in them. */
  const cluster = {
    address: { socketDir: '/run/postgresql', user: 'admin', password: 'secret' },
    has: async (name: string) => databases.has(name),
    ensureRole: async () => {},
    dropUnfinished: async (name: string) => void databases.delete(name),
    connected: async <T>(_database: string, work: (client: Client) => Promise<T>) => {
      const query = async (sql: string) => {
        const [, created] = /^CREATE DATABASE "(\w+)"/.exec(sql) ?? [];
        const [, from, to] = /^ALTER DATABASE "(\w+)" RENAME TO "(\w+)"/.exec(sql) ?? [];
        if (created) databases.add(created);
        if (from && to && databases.delete(from)) databases.add(to);
        return { rows: installed.map((name) => ({ name, state: 'installed' })) };
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

  beforeEach(() => {
    databases = new Set();
    installed = ['web', 'auth_signup', 'sale_management'];
    inits = 0;
    init = async ({ filestoreDir, database }) => {
      inits += 1;
      mkdirSync(join(filestoreDir, database), { recursive: true });
    };
  });

  it('builds once, however many ask together, and never again', async () => {
    const all = templates();
    const [first, ...others] = await Promise.all([ensure(all), ensure(all), ensure(all)]);
    expect(inits).to.equal(1);
    for (const other of others) expect(other).to.deep.equal(first);
    expect([...databases]).to.deep.equal([first.database]);
    expect(existsSync(join(first.filestoreDir, first.database))).to.equal(true);
    expect(await ensure(templates()), 'after a restart').to.deep.equal(first);
    expect(inits).to.equal(1);
  });

  it('leaves nothing of a build that failed, and builds when asked again', async () => {
    const all = templates();
    const working = init;
    init = async (run) => {
      await working(run);
      throw new Error('killed');
    };
    const [one, other] = await Promise.allSettled([ensure(all), ensure(all)]);
    expect([one.status, other.status]).to.deep.equal(['rejected', 'rejected']);
    expect([...databases, ...readdirSync(folder())]).to.deep.equal([]);
    init = working;
    await ensure(all);
    expect(databases.size).to.equal(1);
  });

  it('believes the database, not the exit code, about what is installed', async () => {
    installed = ['web', 'auth_signup'];
    const error = await ensure(templates()).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(TerminalError).with.property('detail', 'sale_management');
    expect(databases.size).to.equal(0);
  });
});
