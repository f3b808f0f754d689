import { expect } from 'chai';
import { Images } from '../../../src/docker/images.ts';
import { AddonModules } from '../../../src/engine/addon-modules.ts';
import { FakeDocker } from '../../fakes/docker.ts';
import { anInstance, aRepository } from '../../support/samples.ts';

const [PINNED, NEWER] = [`sha256:${'a'.repeat(64)}`, `sha256:${'b'.repeat(64)}`];

describe('modules of repositories', () => {
  const { signal } = new AbortController();
  const repositories = [aRepository({ commit: 'old' })];
  let docker: FakeDocker;
  let modules: AddonModules;

  beforeEach(() => {
    docker = new FakeDocker();
    docker.images.set('odoo:19.0', NEWER).set('pinned', PINNED);
    modules = new AddonModules({
      ...{ install: 'k3x9ab', docker: docker.cli },
      images: new Images('k3x9ab', docker.api, docker.cli),
      templates: { get: () => ({ image: 'odoo:19.0' }) } as never,
      dirs: {} as never,
      files: { imageOf: async () => PINNED } as never,
      repositories: {
        path: () => '/checkout',
        fetch: async (_repository: unknown, _signal: AbortSignal, compile: Compile) => {
          await compile('/tree');
          return { commit: 'old', remarks: [] };
        },
      } as never,
    });
  });
  type Compile = (tree: string) => Promise<void>;
  const imageOfCompiling = () => {
    const [run] = docker.runs.filter(({ command }) => command.includes('compileall'));
    return run?.command.at(run.command.indexOf('--') + 1);
  };

  it('are compiled for an instance by the image that it is pinned to', async () => {
    await modules.fetch(anInstance({ imageDigest: PINNED, repositories }), signal);
    expect(imageOfCompiling()).to.equal(PINNED);
  });

  it('are compiled for a plan by the image that its template has now', async () => {
    await modules.fetch({ templateCode: 'odoo', repositories }, signal);
    expect(imageOfCompiling()).to.equal(NEWER);
  });
});
