import { expect } from 'chai';
import type { Container } from '../../../src/engine/docker-api.ts';
import { areJustMade } from '../../../src/engine/observe.ts';

const container = (state: string, digest = 'now'): Container => ({
  id: 'id',
  name: 'name',
  state,
  labels: { 'microsaas.digest': digest },
});

describe('areJustMade', () => {
  for (const [what, containers, expected] of [
    ['made and never started', [container('created')], true],
    ['not there', [], false],
    [
      'started before: Compose makes them anew where the image has changed',
      [container('exited')],
      false,
    ],
    ['made from older files', [container('created', 'before')], false],
    ['more than the template has', [container('created'), container('created')], false],
    ['up', [container('running')], false],
  ] as const)
    it(`${expected ? 'holds for' : 'does not hold for'} containers ${what}`, () => {
      expect(areJustMade(containers, 1, 'now')).to.equal(expected);
    });
});
