import { expect } from 'chai';
import fc from 'fast-check';
import { parse } from 'yaml';
import { compileTemplate, ini, yaml } from '../../../src/files/template-language.ts';

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: these are what Compose would fill in
const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '${HOME}',
    '$$',
    '{{x}}',
    '\n  privileged: true',
    'a #b',
    '~',
    '0123',
    'no',
    '\r',
  ),
  fc.constantFrom('../', '-x', '$(id)', '!!js/function', '\u2028', '\u0085', '\ufeff', '\u202e'),
);
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above

describe('template language', () => {
  it('writes a value that Compose reads back as it was, whatever it holds', function () {
    this.timeout(20_000);
    const file = compileTemplate('a:\n  b: {{yaml value}}\n', 'yaml');
    fc.assert(
      fc.property(anything, (value) => {
        const { a, ...rest } = parse(file.render({ value }));
        expect(rest).to.deep.equal({});
        expect(a.b.replaceAll('$$', '')).not.to.contain('$');
        expect(a.b.replaceAll('$$', '$')).to.equal(value);
      }),
      { numRuns: 1_000 },
    );
  });

  it('writes an ini value as one line that is the value, or not at all', function () {
    this.timeout(20_000);
    const file = compileTemplate('[options]\nkey = {{ini value}}\nnext = 1\n', 'ini');
    fc.assert(
      fc.property(anything, (value) => {
        let text: string;
        try {
          text = file.render({ value });
        } catch {
          expect(value).to.match(/\p{Cc}|^\s|\s$/u);
          return;
        }
        expect(text).to.equal(`[options]\nkey = ${value}\nnext = 1\n`);
        expect(value).not.to.match(/[\r\n]/);
      }),
      { numRuns: 1_000 },
    );
  });

  it('writes booleans as Odoo spells them', () => {
    expect([ini(true), ini(false), ini(3), yaml(true), yaml([1, 'a'])]).to.deep.equal([
      'True',
      'False',
      '3',
      'true',
      '[1,"a"]',
    ]);
  });

  for (const value of [undefined, null, {}, Number.NaN, () => 1, Symbol.iterator])
    it(`refuses to write ${String(value)}`, () => {
      expect(() => yaml(value)).to.throw('{{yaml}} got');
      expect(() => ini(value)).to.throw('{{ini}} got');
    });

  for (const [what, source] of [
    ['a raw value', 'a: {{x}}'],
    ['an unescaped raw value', 'a: {{{x}}}'],
    ['a raw value in a block', '{{#if x}}{{x}}{{/if}}'],
    ['a raw value in an else', '{{#if x}}{{else}}{{x}}{{/if}}'],
    ['the other helper', 'a: {{ini x}}'],
    ['a helper without a value', 'a: {{yaml}}'],
    ['a helper with two values', 'a: {{yaml x y}}'],
    ['a named argument', 'a: {{yaml x y=z}}'],
    ['a literal', 'a: {{yaml "x"}}'],
    ['a call in a call', 'a: {{yaml (lookup x y)}}'],
    ['the helper lookup', 'a: {{lookup x y}}'],
    ['the helper log', '{{log x}}'],
    ['the helper with', '{{#with x}}{{/with}}'],
    ['the context', '{{yaml this}}'],
    ['an outer context', '{{#each x as |y|}}{{yaml ../z}}{{/each}}'],
    ['a data variable', '{{#each x as |y|}}{{yaml @index}}{{/each}}'],
    ['a partial', '{{> x}}'],
    ['a partial block', '{{#> x}}{{/x}}'],
    ['a decorator', '{{* x}}'],
    ['an inline partial', '{{#*inline "x"}}{{/inline}}'],
  ] as const)
    it(`refuses ${what}`, () => {
      expect(() => compileTemplate(source, 'yaml')).to.throw('line 1: only {{yaml variable}}');
    });

  describe('with a partial', () => {
    const partials = new Map([
      ['one', '{{#if x}}a: {{yaml x}}\n{{/if}}'],
      ['raw', 'a: 1\n{{x}}'],
      ['nested', '{{> one}}'],
    ]);

    it('writes it in its place', () => {
      const file = compileTemplate('b: 1\n{{> one}}\nc: 2\n', 'yaml', partials);
      expect(file.render({ x: 'y' })).to.equal('b: 1\na: "y"\nc: 2\n');
      expect(() => file.render({})).to.throw('there is no variable "x"');
    });

    for (const [what, source, why] of [
      ['a raw value in it', '{{> raw}}', '{{> raw}}: line 2: only {{yaml variable}}'],
      ['another one in it', '{{> nested}}', '{{> nested}}: line 1: only {{yaml variable}}'],
      ['one in a block', '{{#if x}}{{> one}}{{/if}}', 'line 1: only'],
      ['one with a context', '{{> one y}}', 'line 1: only'],
      ['one with an argument', '{{> one x=y}}', 'line 1: only'],
      ['one whose name is a value', "{{> (lookup . 'x')}}", 'line 1: only'],
    ] as const)
      it(`refuses ${what}`, () => {
        expect(() => compileTemplate(source, 'yaml', partials)).to.throw(why);
      });
  });

  it('refuses a syntax tree in place of text', () => {
    const tree = { type: 'Program', body: [] } as unknown as string;
    expect(() => compileTemplate(tree, 'yaml')).to.throw('a template is text');
  });

  for (const source of [
    '{{yaml y}}',
    '{{yaml x.y}}',
    '{{yaml x.constructor}}',
    '{{yaml __proto__}}',
  ])
    it(`fails on a variable that is not there: ${source}`, () => {
      expect(() => compileTemplate(source, 'yaml').render({ x: {} })).to.throw();
    });
});
