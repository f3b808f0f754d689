import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { execa } from 'execa';
import { parse, stringify } from 'yaml';
import { containerNamed } from './support/docker.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';

type Config = Record<string, Record<string, unknown>>;

chapter('a sidecar with a wrong configuration refuses to start', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(theEnvironment().stack.files.dir, 'wrong-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** Starts a second sidecar with this stack's configuration and one change. */
  async function start(change: (config: Config) => void) {
    const { stack, sidecar } = theEnvironment();
    const config = parse((await stack.files.read('sidecar/microsaas.yaml')) ?? '') as Config;
    config['http'] = { ...config['http'], port: 8999, managerNetwork: '' };
    change(config);
    await writeFile(join(folder, 'microsaas.yaml'), stringify(config), { mode: 0o600 });
    const image = (await containerNamed(sidecar.name))?.Config.Image ?? '';
    const mounts = [
      ...['--volume', '/var/run/docker.sock:/var/run/docker.sock'],
      ...['--volume', `${stack.files.path('sidecar')}:/etc/microsaas:ro`],
      ...['--volume', `${stack.files.dataDir}:${stack.files.dataDir}`],
      ...['--volume', `${folder}:${folder}`],
    ];
    const option = ['--config', join(folder, 'microsaas.yaml'), 'run'];
    const run = ['run', '--rm', '--init', '--network', 'host', ...mounts, '--', image, ...option];
    const result = await execa('docker', run, { reject: false, all: true, timeout: 30_000 });
    expect(result.exitCode, result.all).to.equal(1);
    expect(result.all).not.to.contain('    at ');
    return result.all;
  }

  scenario('without a webhook secret, or with one that is too short', async () => {
    const missing = await start((config) => {
      delete config['webhook']?.['secretFile'];
    });
    expect(missing).to.match(/webhook\.secret: expected/);
    const short = await start((config) => {
      config['webhook'] = { secret: `whsec_${Buffer.from('too short').toString('base64')}` };
    });
    expect(short).to.match(/webhook\.secret: expected at least 24 bytes.*found 9/);
  });

  scenario('with a key that is unknown or of another kind', async () => {
    const unknown = await start((config) => {
      config['http'] = { ...config['http'], prot: 1 };
    });
    expect(unknown).to.match(/http: .*prot/);
    const wrong = await start((config) => {
      config['manager'] = { ...config['manager'], pollSeconds: 'often' };
    });
    expect(wrong).to.match(/manager\.pollSeconds: .*found "often"/);
  });

  scenario('as a second one of the same install', async () => {
    expect(await start(() => {})).to.match(/another sidecar of the install/);
  });

  scenario('for a manager that belongs to another install', async ({ stack }) => {
    const dataDir = join(folder, 'data');
    await mkdir(dataDir);
    await writeFile(join(dataDir, 'install-id'), 'zz9zz9\n');
    const said = await start((config) => {
      Object.assign(config, { dataDir });
      config['postgres'] = { ...config['postgres'], socketDir: stack.files.tenantSocketDir };
    });
    expect(said).to.match(new RegExp(`expected zz9zz9 .* found ${stack.install}`));
  });
});
