import { expect } from 'chai';
import {
  keyOfInstance,
  keyOfSpares,
  type TemplateKey,
  templateHash,
} from '../../../src/databases/template-key.ts';
import { TerminalError } from '../../../src/errors.ts';
import { anInstance, aPlan, aSpare } from '../../support/samples.ts';

const KEY: TemplateKey = {
  imageId: 'sha256:1',
  modules: ['sale_management'],
  repositories: [],
  languages: ['es_ES'],
  countryCode: 'ES',
};

describe('templateHash', () => {
  const hashOf = (change: Partial<TemplateKey>) => templateHash({ ...KEY, ...change });

  it('is the same for the same modules in any order', () => {
    const one = hashOf({ modules: ['stock', 'sale_management'] });
    expect(hashOf({ modules: ['sale_management', 'web', 'stock', 'stock'] })).to.equal(one);
  });

  it('differs with the image, a module, the language and the country', () => {
    const repositories = [{ url: 'https://git.example.com/x', commit: 'a'.repeat(40) }];
    const changes = [
      { imageId: 'sha256:2' },
      { modules: ['stock'] },
      { languages: [] },
      { languages: ['es_ES', 'fr_FR'] },
      { repositories },
      { repositories: repositories.map((it) => ({ ...it, commit: 'b'.repeat(40) })) },
    ];
    const hashes = [{}, ...changes, { countryCode: 'MX' }].map(hashOf);
    expect(new Set(hashes).size).to.equal(hashes.length);
  });

  it('is the same in every country while no module depends on it', () => {
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

describe('what spares are cloned from', () => {
  const keyOf = (languages: readonly string[]) =>
    keyOfSpares(aPlan({ spares: 1, languages }), 'sha256:1');

  it('is the template of the only language beside English, which all have', () => {
    const customer = { ...anInstance().customer, lang: 'es_ES' };
    const usual = keyOfInstance(anInstance({ modules: aPlan().modules, customer }), 'sha256:1');
    expect(keyOf(['en_US', 'es_ES'])).to.deep.equal(usual);
    expect(keyOf(['en_US'])?.languages).to.deep.equal([]);
  });

  it('is one with all languages where there are more, in whatever order', () => {
    const languages = ['fr_FR', 'en_US', 'es_ES'];
    expect(keyOf(languages)?.languages).to.deep.equal(['es_ES', 'fr_FR']);
    const spare = aSpare({ languages, modules: aPlan().modules });
    expect(keyOf(languages)).to.deep.equal(keyOfInstance(spare, 'sha256:1'));
    const sold = keyOfInstance({ ...spare, spare: 'sold' }, 'sha256:1');
    expect(sold.languages, 'whose data were lost is made for its customer').to.deep.equal([
      'es_ES',
    ]);
  });

  it('is nothing where no spare is kept', () => {
    expect(keyOfSpares(aPlan({ spares: 0 }), 'sha256:1')).to.equal(null);
  });
});
