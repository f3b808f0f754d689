import { expect } from 'chai';
import { Networks } from '../../../src/docker/networks.ts';
import { CommandError, RetryableError } from '../../../src/errors.ts';
import { FakeDocker } from '../../fakes/docker.ts';

const NAME = 'ms-k3x9ab-net-1';
const nobody = async () => false;

describe('Networks', () => {
  let docker: FakeDocker;
  let networks: Networks;
  beforeEach(() => {
    docker = new FakeDocker();
    networks = new Networks('k3x9ab', docker.api, docker.cli);
  });

  it('makes a network whose members do not reach each other, marked as the install’s', async () => {
    await networks.ensure(NAME);
    expect(docker.networks.get(NAME)?.labels).to.deep.equal({ 'microsaas.install': 'k3x9ab' });
    expect(docker.networks.get(NAME)?.options).to.deep.equal({
      'com.docker.network.bridge.enable_icc': 'false',
      'com.docker.network.bridge.name': 'ms-k3x9ab-1',
    });
  });

  it('makes it once, however many want it at the same moment', async () => {
    await Promise.all([networks.ensure(NAME), networks.ensure(NAME), networks.ensure(NAME)]);
    await networks.ensure(NAME);
    expect(docker.ran('network', 'create')).to.have.length(1);
  });

  it('makes another one meanwhile', async () => {
    await Promise.all([networks.ensure(NAME), networks.ensure('ms-k3x9ab-net-2')]);
    expect([...docker.networks.keys()]).to.have.members([NAME, 'ms-k3x9ab-net-2']);
  });

  it('tries again after a failure', async () => {
    docker.isAway = true;
    const error = await networks.ensure(NAME).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(RetryableError);
    docker.isAway = false;
    await networks.ensure(NAME);
    expect(docker.networks.has(NAME)).to.equal(true);
  });

  it('removes a network that nobody is on', async () => {
    await networks.ensure(NAME);
    await networks.removeUnless(NAME, nobody);
    expect(docker.networks.has(NAME)).to.equal(false);
  });

  it('keeps one whose members are only stopped', async () => {
    await networks.ensure(NAME);
    await networks.removeUnless(NAME, async () => true);
    expect(docker.networks.has(NAME)).to.equal(true);
  });

  it('does not even try where somebody else’s container is on it', async () => {
    await networks.ensure(NAME);
    docker.join(NAME, 'a proxy');
    await networks.removeUnless(NAME, nobody);
    expect(docker.networks.has(NAME)).to.equal(true);
    expect(docker.ran('network', 'rm')).to.deep.equal([]);
  });

  it('takes it for no failure that somebody joined at the last moment', async () => {
    await networks.ensure(NAME);
    docker.api.network = async () => {
      docker.join(NAME, 'a proxy');
      return { subnet: '', gateway: '', containers: 0 };
    };
    await networks.removeUnless(NAME, nobody);
    expect(docker.ran('network', 'rm')).to.have.length(1);
    expect(docker.networks.has(NAME)).to.equal(true);
  });

  it('has nothing to do where there is none', async () => {
    await networks.removeUnless(NAME, nobody);
    expect(docker.runs).to.deep.equal([]);
  });

  it('says what went wrong before Docker was asked', async () => {
    const away = new RetryableError('DockerUnavailable', 'Docker does not answer.');
    await networks.ensure(NAME);
    const error = await networks
      .removeUnless(NAME, async () => {
        throw away;
      })
      .catch((thrown: unknown) => thrown);
    expect(error).to.equal(away);
    expect(docker.networks.has(NAME)).to.equal(true);
  });

  it('makes a network again for whoever comes while it is being removed', async () => {
    await networks.ensure(NAME);
    await Promise.all([networks.removeUnless(NAME, nobody), networks.ensure(NAME)]);
    expect(docker.networks.has(NAME)).to.equal(true);
    expect(docker.ran('network', 'create')).to.have.length(2);
  });

  it('tells whoever wants a network that Docker cannot make it', async () => {
    docker.api.network = async () => null;
    await networks.ensure(NAME);
    const error = await networks.ensure(NAME).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(CommandError);
  });
});
