import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';

const ROOT = join(import.meta.dirname, '..', '..');
const SENTENCES = join(ROOT, 'odoo-addon', 'micro_saas', 'models', 'reason_sentences.py');

/** Read at a terminal alone, where there is no other language. */
const COMMANDS_ONLY = ['DatabaseExists'];

describe('the reasons that the sidecar reports', () => {
  it('have each a sentence in the addon, which people read in their language', () => {
    const known = [...readFileSync(SENTENCES, 'utf8').matchAll(/^ {8}"([A-Z]\w+)": /gm)];
    const thrown = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => [
        ...readFileSync(join(ROOT, 'src', name), 'utf8').matchAll(
          /new (?:Terminal|Retryable|PortTaken)Error\(\s*'([A-Z]\w+)'/g,
        ),
      ]);
    const names = (matches: RegExpExecArray[]) => [...new Set(matches.map(([, name]) => name))];
    expect(names(thrown).length, 'reasons found in src/').to.be.greaterThan(20);
    expect(names(thrown)).to.have.members([
      ...names(thrown).filter((name) => names(known).includes(name)),
      ...COMMANDS_ONLY,
    ]);
  });
});
