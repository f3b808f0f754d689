import { expect } from 'chai';
import { isOlder } from '../../src/doctor.ts';

describe('doctor', () => {
  for (const [version, expected] of [
    ['20.10.24+dfsg1', true],
    ['25.0.5', true],
    ['25.0.6', false],
    ['28.2.2', false],
    ['29.0.0-rc.1', false],
    ['unknown', false],
    ['', false],
  ] as const)
    it(`${expected ? 'warns of' : 'accepts'} Docker ${version || 'without a version'}`, () =>
      expect(isOlder(version, [25, 0, 6])).to.equal(expected));
});
