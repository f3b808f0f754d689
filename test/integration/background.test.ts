import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { Background } from '../../src/docker/background.ts';
import { containersRemove } from '../../src/docker/commands.ts';
import { DockerApi } from '../../src/docker/docker-api.ts';
import { dockerCli } from '../../src/docker/docker-cli.ts';
import { BACKGROUND_LABEL, hardenedRun } from '../../src/docker/helpers.ts';
import { images } from '../../stack/images.ts';
import { eventually } from '../e2e/support/eventually.ts';

const SOCKET = '/var/run/docker.sock';

describe('work that nobody waits for, on a real daemon', function () {
  this.timeout(120_000);
  const install = randomBytes(3).toString('hex');
  const container = `ms-${install}-restic-1`;
  const docker = dockerCli(SOCKET);
  const errors: unknown[] = [];
  // One that has not stood still yet: it would rest for as long.
  const background = () =>
    new Background({
      ...{ install, api: new DockerApi(SOCKET) },
      onError: (error) => errors.push(error),
    });
  const state = () => docker(['docker', 'inspect', '--format={{.State.Status}}', '--', container]);
  const becomes = (expected: string) =>
    eventually(async () => expect((await state()).trim()).to.equal(expected));

  before(() =>
    docker(
      hardenedRun({
        ...{ install, kind: 'backup', image: images.base, network: 'none', isDetached: true },
        ...{ pids: 8, memory: '16m', entrypoint: 'sleep', args: ['600'] },
        options: [`--name=${container}`, BACKGROUND_LABEL],
      }),
    ),
  );
  after(() => docker(containersRemove([container])));

  it('is frozen while a customer’s instance starts, and goes on afterwards', async () => {
    await becomes('running');
    await background().during(() => becomes('paused'));
    await becomes('running');
    expect(errors).to.deep.equal([]);
  });

  it('is removed by force while it is frozen', async () => {
    await background().during(async () => {
      await becomes('paused');
      await docker(containersRemove([container]));
    });
    expect(await new DockerApi(SOCKET).containers([`microsaas.install=${install}`])).to.deep.equal(
      [],
    );
  });
});
