import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { HOLD_REASONS } from '../../src/billing/invoice-types.ts';
import { DRIFTS } from '../../src/instance/drift.ts';
import {
  detailOf,
  FAILURE_REASONS,
  PROGRESS_REASONS,
  REMARK_REASONS,
  SETTLED_REASONS,
} from '../../src/instance/reasons.ts';

const ADDON = join(import.meta.dirname, '..', '..', 'odoo-addon', 'micro_saas', 'models');

/** The reasons for which one of the addon's functions has a sentence. */
function known(name: string, file = 'reason_sentences.py'): string[] {
  const source = readFileSync(join(ADDON, file), 'utf8');
  const [, text = ''] = source.split(`\ndef ${name}(`);
  const [body = ''] = text.split('\ndef ');
  return [...body.matchAll(/^ {8}"([A-Z]\w+)": /gm)].map(([, reason = '']) => reason);
}

/** Written by a sidecar of an earlier version on instances that have not been looked at since. */
const EARLIER = ['RepositoryInvalid'];

describe('the reasons that the sidecar reports', () => {
  it('have each a sentence in the addon, which people read in their language, and no sentence is idle', () => {
    const reported = [
      ...PROGRESS_REASONS,
      ...SETTLED_REASONS,
      ...REMARK_REASONS,
      ...FAILURE_REASONS,
    ];
    expect(known('instance_sentence')).to.have.members([...reported, ...EARLIER]);
    expect(known('drift_sentence', 'drift_sentences.py')).to.have.members([...DRIFTS]);
    expect(known('hold_sentence')).to.have.members([...HOLD_REASONS]);
  });

  it('name what they are about in lines, whatever a value holds', () => {
    expect(detailOf('https://example.com/a', 500)).to.equal('https://example.com/a\n500');
    expect(detailOf('one \r\n two', '')).to.equal('one two\n');
  });
});
