import { expect } from 'chai';
import { preferredLanguage } from '../../../src/http/accept-language.ts';

describe('a visitor’s language', () => {
  const cases: ReadonlyArray<[string, string, string]> = [
    ['es', 'es', 'the only one'],
    ['es-MX,es;q=0.9,en;q=0.8', 'es', 'the first, with a country'],
    ['en-GB, en;q=0.9', 'en', 'English'],
    ['fr-FR, fr;q=0.9, es;q=0.5, en;q=0.7', 'en', 'the best of those that we have'],
    ['ES', 'es', 'capitals'],
    ['es;q=0, en', 'en', 'one that is not wanted at all'],
    ['de, fr', '', 'none that we have'],
    ['*', '', 'any'],
    ['', '', 'none'],
    ['espanol, <script>, ;;;q=, =,,,', '', 'no languages'],
    ['es;q=x, en;q=0.1', 'en', 'a quality that is no number'],
    [`${'x,'.repeat(10_000)}es`, '', 'thousands of them'],
  ];
  for (const [header, language, what] of cases)
    it(`is ${language || 'unknown'} for ${what}`, () => {
      expect(preferredLanguage(header)).to.equal(language);
    });
});
