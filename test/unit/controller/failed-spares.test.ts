import { expect } from 'chai';
import { FailedSpares, isOfItsContent } from '../../../src/controller/failed-spares.ts';
import { foreignData, ManagerError, RetryableError, TerminalError } from '../../../src/errors.ts';

const DAY = 24 * 60 * 60_000;

describe('spares that cannot be made', () => {
  it('are remembered for a day, each content for itself', () => {
    let now = 1_795_348_000_000;
    const failed = new FailedSpares(() => new Date(now));
    failed.record('a');
    expect([failed.has('a'), failed.has('b')]).to.deep.equal([true, false]);
    now += DAY - 1;
    expect(failed.has('a')).to.equal(true);
    now += 1;
    expect(failed.has('a')).to.equal(false);
  });

  it('are those that what the plan says keeps from being, not the host', () => {
    for (const error of [
      new TerminalError('ModulesMissing', 'none'),
      new RetryableError('NotAnswering', 'silent'),
      new RetryableError('NotConverging', 'never'),
      new TypeError('fetch failed'),
    ])
      expect(isOfItsContent(error), error.message).to.equal(true);
    for (const error of [
      new RetryableError('DockerUnavailable', 'away'),
      new RetryableError('PostgresUnavailable', 'away'),
      new RetryableError('NotEnoughDisk', 'full'),
      new ManagerError('server', 'broken'),
      foreignData('directory'),
    ])
      expect(isOfItsContent(error), error.message).to.equal(false);
  });
});
