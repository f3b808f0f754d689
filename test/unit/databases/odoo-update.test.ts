import { join } from 'node:path';
import { expect } from 'chai';
import { OdooUpdate, type OdooUpdateRun } from '../../../src/databases/odoo-update.ts';
import type { DockerCli } from '../../../src/docker/docker-cli.ts';
import { Images } from '../../../src/docker/images.ts';
import { CommandError } from '../../../src/errors.ts';
import { Repositories } from '../../../src/repositories/repositories.ts';
import { FakeDocker } from '../../fakes/docker.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const OLD = `sha256:${'1'.repeat(64)}`;
const NEW = `sha256:${'2'.repeat(64)}`;
const hash = (digit: string) => digit.repeat(64);

describe('OdooUpdate', () => {
  const folder = temporaryFolder();
  const signal = new AbortController().signal;
  /** What the modules of each image are. */
  let modules: Record<string, string>;
  /** What Odoo writes when it updates, and what its shell does. */
  let says: { update: string | Error; verify: string | Error };
  let ran: string[][];
  /** What programs were given on standard input. */
  let inputs: string[];
  let update: OdooUpdate;

  beforeEach(() => {
    const fake = new FakeDocker();
    fake.images.set('old', OLD).set('new', NEW);
    const me = `uid=${process.getuid?.() ?? 0}(odoo) gid=${process.getgid?.() ?? 0}(odoo)`;
    modules = {
      [OLD]: JSON.stringify({ base: hash('a'), sale: hash('b'), gone: hash('c') }),
      [NEW]: JSON.stringify({ base: hash('a'), sale: hash('d'), fresh: hash('e') }),
    };
    says = { update: '', verify: 'microsaas-verify: well\n' };
    ran = [];
    inputs = [];
    const docker: DockerCli = async (command, { input } = {}) => {
      if (input) inputs.push(input);
      if (command.includes('--entrypoint=id')) return me;
      ran.push([...command]);
      if (command.includes('--entrypoint=python3'))
        return modules[command.find((word) => word in modules) ?? ''] ?? '';
      const said = command.includes('shell') ? says.verify : says.update;
      if (said instanceof Error) throw said;
      return command[1] === 'run' ? said : '';
    };
    const images = new Images('k3x9ab', fake.api, docker);
    const repositories = new Repositories({ dataDir: folder() });
    update = new OdooUpdate({ install: 'k3x9ab', docker, images, repositories });
  });

  const changed = () =>
    update.changedModules(
      { image: OLD, repositories: [] },
      { image: NEW, repositories: [] },
      signal,
    );
  const aRun = (over: Partial<OdooUpdateRun> = {}): OdooUpdateRun => ({
    ...{ image: NEW, repositories: [], container: 'ms-k3x9ab-1-update', signal },
    ...{
      server: { socketDir: '/run/x' },
      filestoreDir: '/data/x',
      conf: join(folder(), 'odoo.conf'),
    },
    login: { database: 'ms_k3x9ab_1_restoring', role: 'ms_k3x9ab_1', password: 'secret' },
    ...{ isLowPriority: false, modules: ['sale'], newModules: [], knownErrors: [] },
    ...over,
  });
  const run = (over: Partial<OdooUpdateRun> = {}) => update.run(aRun(over));
  const why = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      ({ detail, reason }) => `${reason} ${detail}`.trim(),
    );
  const exited = (code: number, stderr: string) => new CommandError(['docker'], code, stderr);

  it('names the modules whose code is another one or new, and reads each image once', async () => {
    expect(await changed()).to.deep.equal(['fresh', 'sale']);
    const reads = ran.length;
    expect(await changed()).to.deep.equal(['fresh', 'sale']);
    expect(ran).to.have.length(reads);
  });

  it('leaves the processors to customers where it is only tried', async () => {
    const lowest = () => ran.map((command) => command.includes('--cpu-shares=128'));
    await run();
    expect(lowest()).not.to.include(true);
    ran = [];
    await run({ isLowPriority: true });
    expect(ran.filter(([, verb]) => verb === 'run')).to.have.length(2);
    expect(lowest().filter(Boolean)).to.have.length(2);
    ran = [];
    await changed();
    expect(lowest()).to.deep.equal([true, true]);
  });

  it('takes all modules for changed where the old image is gone', async () => {
    const gone = { image: `sha256:${'9'.repeat(64)}`, repositories: [] };
    const all = await update.changedModules(gone, { image: NEW, repositories: [] }, signal);
    expect(all).to.deep.equal(['base', 'fresh', 'sale']);
  });

  it('believes nothing that is no list of modules', async () => {
    modules[NEW] = JSON.stringify({ 'sale,--init=evil': hash('a') });
    expect(await changed().catch(() => 'refused')).to.equal('refused');
  });

  it('updates and verifies without a network, and no argument has the password', async () => {
    await run();
    const runs = ran.filter(([, verb]) => verb === 'run');
    expect(runs).to.have.length(2);
    expect(runs[0]).to.include.members(['--network=none', '--update=sale', '--stop-after-init']);
    expect(runs[1]).to.include.members(['--network=none', 'shell']);
    expect(ran.flat().join(' ')).not.to.include('secret');
  });

  it('only verifies where no module has changed', async () => {
    await run({ modules: [] });
    expect(ran.filter(([, verb]) => verb === 'run')).to.have.length(1);
  });

  it('installs what is new, and verifies that it is installed', async () => {
    await run({ newModules: ['crm', 'project'] });
    const [changes, verified] = ran.filter(([, verb]) => verb === 'run');
    expect(changes).to.include.members(['--update=sale', '--init=crm,project']);
    expect(verified).to.include('shell');
    expect(inputs.at(-1)).to.include('["crm","project"]');
    ran = [];
    await run({ modules: [], newModules: ['crm'] });
    expect(ran.filter(([, verb]) => verb === 'run')).to.have.length(2);
    expect(ran.flat().join(' ')).not.to.include('--update');
  });

  it('fails with what Odoo says', async () => {
    says.update = exited(255, 'Traceback\nRuntimeError: made to fail\n');
    expect(await why(run())).to.equal('UpdateFailed RuntimeError: made to fail');
    says.update = '2026-11-27 07:00:00,123 7 ERROR db odoo.modules.loading: half of it\n';
    expect(await why(run())).to.equal('UpdateFailed odoo.modules.loading: half of it');
    says.update = '2026-11-27 07:00:00,123 7 WARNING db odoo.x: no ERROR at all\n';
    expect(await why(run())).to.equal('done');
    for (const [verdict, detail] of [
      ['modules sale', 'modules sale'],
      ['login 500', 'login 500'],
    ]) {
      says.verify = `microsaas-verify: ${verdict}\n`;
      expect(await why(run())).to.equal(`UpdateFailed ${detail}`);
    }
    says.verify = '';
    expect(await why(run())).to.include('ended before it was verified');
  });

  it('heeds no error that was there before, and any other one', async () => {
    const line = (text: string) => `2026-11-27 07:00:00,123 7 ERROR db ${text}\n`;
    says.verify = `${line('odoo.assets: no such file')}microsaas-verify: well\n`;
    const knownErrors = await update.errorsBefore(aRun());
    expect(knownErrors).to.deep.equal(['odoo.assets: no such file']);
    expect(await why(run({ knownErrors }))).to.equal('done');
    expect(await why(run())).to.equal('UpdateFailed odoo.assets: no such file');
    says.update = line('odoo.modules.loading: half of it');
    expect(await why(run({ knownErrors }))).to.equal(
      'UpdateFailed odoo.modules.loading: half of it',
    );
  });

  it('knows of no errors from before where the old image is gone, or does not start', async () => {
    says.verify = exited(255, 'RuntimeError: made to fail\n');
    expect(await update.errorsBefore(aRun({ image: OLD }))).to.deep.equal([]);
    const gone = aRun({ image: `sha256:${'9'.repeat(64)}` });
    expect(await update.errorsBefore(gone)).to.deep.equal([]);
  });

  it('is tried again where Docker or the kernel has ended it', async () => {
    says.update = exited(137, '');
    expect(await why(run())).to.equal('ModulesInterrupted');
  });
});
