import { expect } from 'chai';
import { removeStaleHelpers } from '../../../src/docker/helpers.ts';
import { FakeDocker } from '../../fakes/docker.ts';

const NOW = new Date('2026-11-22T12:00:00Z');

describe('helpers that outlived their sidecar', () => {
  for (const [kind, state, minutes, isRemoved] of [
    ['image-user', 'running', 4, false],
    ['image-user', 'running', 6, true],
    ['compile', 'running', 6, true],
    ['backup', 'paused', 180, false],
    ['backup', 'paused', 186, true],
    ['apps-list', 'running', 6, true],
    ['python-packages', 'running', 6, true],
    ['odoo-init', 'running', 60, false],
    ['odoo-init', 'running', 66, true],
    ['pg-tools', 'running', 60, false],
    ['pg-tools', 'running', 66, true],
    ['odoo-init', 'created', 0.5, false],
    ['odoo-init', 'created', 1.5, true],
    ['pg-tools', 'exited', 1.5, true],
    ['of another version', 'running', 0.5, false],
    ['of another version', 'running', 1.5, true],
  ] as const)
    it(`${isRemoved ? 'removes' : 'leaves'} one (${kind}) that is ${state} after ${minutes} minutes`, async () => {
      const docker = new FakeDocker();
      const labels = { 'microsaas.install': 'k3x9ab', 'microsaas.helper': kind };
      docker.helper('a helper', labels, state, NOW.getTime() / 1000 - minutes * 60);
      const names = await removeStaleHelpers(docker.api, 'k3x9ab', NOW);
      expect(names).to.deep.equal(isRemoved ? ['a helper'] : []);
      expect(docker.containers.size).to.equal(isRemoved ? 0 : 1);
    });

  it('leaves instances, however old, and other installs’ helpers', async () => {
    const docker = new FakeDocker();
    docker.helper('an instance', { 'microsaas.install': 'k3x9ab' }, 'exited', 0);
    const other = { 'microsaas.install': 'other1', 'microsaas.helper': 'compile' };
    docker.helper('another’s', other, 'exited', 0);
    expect(await removeStaleHelpers(docker.api, 'k3x9ab', NOW)).to.deep.equal([]);
    expect(docker.containers.size).to.equal(2);
  });
});
