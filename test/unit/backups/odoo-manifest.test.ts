import { expect } from 'chai';
import { odooManifest } from '../../../src/backups/odoo-manifest.ts';

const base = { name: 'base', version: '19.0.1.3' };

describe('the manifest of an export', () => {
  it('is as Odoo writes it', () => {
    const web = { name: 'web', version: null };
    expect(odooManifest('ms_k3x9ab_7', 17, [base, web])).to.deep.equal({
      odoo_dump: '1',
      db_name: 'ms_k3x9ab_7',
      version: '19.0',
      version_info: [19, 0, 0, 'final', 0, ''],
      major_version: '19.0',
      pg_version: '17.0',
      modules: { base: '19.0.1.3', web: null },
    });
  });

  it('names an Odoo between two releases as Odoo does', () => {
    const made = odooManifest('x', 17, [{ name: 'base', version: 'saas~18.2.1.3' }]);
    expect(made).to.include({ version: 'saas~18.2', major_version: 'saas~18.2' });
    expect(made.version_info).to.deep.equal(['saas~18', 2, 0, 'final', 0, '']);
  });

  it('leaves out modules whose name or version none can have', () => {
    const made = odooManifest('x', 17, [
      base,
      ...['../etc', 'a b', '', 'a'.repeat(65), '\u001b[2J', '1st'].map((name) => ({
        ...{ name, version: '1.0' },
      })),
      { name: 'sale', version: '1.0\n"evil"' },
      { name: '__proto__', version: '1.0' },
    ]);
    expect(Object.keys(made.modules)).to.deep.equal(['base', '__proto__']);
    expect(({} as { version?: string }).version).to.equal(undefined);
  });

  it('is none of a database whose base has no version', () => {
    for (const modules of [[], [{ name: 'base', version: null }], [{ ...base, version: 'new' }]])
      expect(() => odooManifest('x', 17, modules)).to.throw(/no database of Odoo/);
  });
});
