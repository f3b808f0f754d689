import { expect } from 'chai';
import { composeUp, networkRemove } from '../../../src/docker/commands.ts';
import { composeByItself } from '../../../src/docker/docker-cli.ts';

describe('composeByItself', () => {
  const program = '/usr/libexec/docker/cli-plugins/docker-compose';
  const up = composeUp('ms-abc123-1', '/d/docker-compose.yml');

  it('calls the Compose program directly, with the same arguments', () => {
    expect(composeByItself(up, program)).to.deep.equal([program, ...up.slice(2)]);
  });

  it('calls Docker where the Compose program was not found', () => {
    expect(composeByItself(up, null)).to.equal(up);
  });

  it('does not change other commands', () => {
    const remove = networkRemove('ms-abc123-net-1');
    expect(composeByItself(remove, program)).to.equal(remove);
  });
});
