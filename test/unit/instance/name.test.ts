import { expect } from 'chai';
import fc from 'fast-check';
import { networkOf } from '../../../src/docker/names.ts';
import {
  databaseName,
  instanceOfDatabase,
  isInstallId,
  projectName,
  templateDatabaseName,
} from '../../../src/instance/name.ts';

const install = fc.stringMatching(/^[a-z][a-z0-9]{5}$/);
const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const names = [projectName, databaseName, networkOf];

describe('names', () => {
  it('have the forms of the contract', () => {
    expect(projectName('abc123', 7)).to.equal('ms-abc123-7');
    expect(databaseName('abc123', 7)).to.equal('ms_abc123_7');
    expect(templateDatabaseName('abc123', '0123456789abcdef')).to.equal(
      'ms_abc123_t_0123456789abcdef',
    );
  });

  it('are valid in Compose, Docker and Postgres for every id', () => {
    fc.assert(
      fc.property(install, id, (own, number) => {
        for (const name of names) expect(name(own, number)).to.match(/^[a-z0-9][a-z0-9_-]{0,62}$/);
      }),
    );
  });

  it('can be resolved to the instance, and foreign names to none', () => {
    fc.assert(
      fc.property(install, id, (own, number) => {
        expect(instanceOfDatabase(own, databaseName(own, number))).to.equal(number);
        for (const name of [
          `${databaseName(own, number)}_new`,
          templateDatabaseName(own, '0123456789abcdef'),
        ])
          expect(instanceOfDatabase(own, name)).to.equal(null);
      }),
    );
    for (const name of [
      'postgres',
      'ms_abc123_',
      'ms_abc123_-1',
      'ms_abc123_01',
      'ms_other1_1',
      '',
    ])
      expect(instanceOfDatabase('abc123', name), name).to.equal(null);
  });

  it('differ when the install or the number does', () => {
    fc.assert(
      fc.property(install, id, install, id, (a, n, b, m) => {
        fc.pre(a !== b || n !== m);
        for (const name of [projectName, databaseName]) expect(name(a, n)).not.to.equal(name(b, m));
      }),
    );
  });

  it('refuse every install id of another form', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        fc.pre(!/^[a-z][a-z0-9]{5}$/.test(text) || text.endsWith('\n'));
        expect(isInstallId(text)).to.equal(false);
        for (const name of names) expect(() => name(text, 1)).to.throw(TypeError);
      }),
    );
  });

  it('refuse an install id with a line end', () => {
    expect(isInstallId('abc123\n')).to.equal(false);
  });

  it('refuse every number that is no instance id', () => {
    for (const number of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])
      for (const name of names) expect(() => name('abc123', number)).to.throw(TypeError);
  });

  it('refuse a template hash of another form', () => {
    for (const hash of ['', '0123', '0123456789ABCDEF', '0123456789abcdef0', '../../../../etc/x'])
      expect(() => templateDatabaseName('abc123', hash)).to.throw(TypeError);
  });

  it('put five hundred instances on a network', () => {
    const networks = [1, 500, 501, 1_000, 1_001].map((number) => networkOf('abc123', number));
    expect(networks.map((name) => name.split('-').at(-1))).to.deep.equal(['1', '1', '2', '2', '3']);
  });
});
