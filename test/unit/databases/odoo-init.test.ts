import { existsSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { type OdooInitRun, odooInit } from '../../../src/databases/odoo-init.ts';
import { Images } from '../../../src/docker/images.ts';
import { CommandError, RetryableError, TerminalError } from '../../../src/errors.ts';
import { Repositories } from '../../../src/repositories/repositories.ts';
import { FakeDocker, type Run } from '../../fakes/docker.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const CONTAINER = 'ms-k3x9ab-init-1';
const PASSWORD = 'hunter2';

/** Only root can give files away; whoever runs the tests can own theirs. */
const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

describe('Odoo, run once to fill a template database', () => {
  const folder = temporaryFolder();
  let docker: FakeDocker;
  /** The odoo.conf as each run of Odoo found it. */
  let confs: Array<{ readonly text: string; readonly mode: number }>;
  let odoo: (run: Run) => string;

  const conf = () => join(folder(), 'odoo.conf');
  beforeEach(() => {
    docker = new FakeDocker();
    docker.images.set('odoo:19.0', 'sha256:a');
    confs = [];
    odoo = () => '';
    docker.programs.set('odoo', async (run) => {
      const { mode } = await stat(conf());
      confs.push({ text: await readFile(conf(), 'utf8'), mode: mode & 0o777 });
      return odoo(run);
    });
  });

  /** What is run, with what differs from a usual run. @param owner of what Odoo writes, as its image says */
  async function init(over: Partial<OdooInitRun> = {}, owner = me): Promise<unknown> {
    docker.programs.set('id', () => `uid=${owner.uid}(odoo) gid=${owner.gid}(odoo)`);
    const run: OdooInitRun = {
      container: CONTAINER,
      image: 'odoo:19.0',
      server: { socketDir: '/srv/microsaas/postgresql' },
      database: 'ms_k3x9ab_t_0123456789abcdef',
      password: PASSWORD,
      filestoreDir: join(folder(), 'filestore'),
      modules: ['sale_management', 'stock'],
      repositories: [],
      languages: ['es_ES'],
      countryCode: '',
      signal: new AbortController().signal,
      ...over,
    };
    const install = 'k3x9ab';
    const host = {
      ...{ install, docker: docker.cli },
      images: new Images(install, docker.api, docker.cli),
      repositories: new Repositories({ dataDir: folder() }),
    };
    return odooInit(host)(run).catch((thrown: unknown) => thrown);
  }

  const runsOfOdoo = () =>
    docker.ran('run').filter(({ command }) => command.includes('--entrypoint=odoo'));
  /** Each run of Odoo: `shell`, or the modules that it installs. */
  const steps = () =>
    runsOfOdoo().map(({ command }) => {
      const args = command.slice(command.indexOf('--') + 2);
      return args.find((it) => it === 'shell' || it.startsWith('--init='));
    });
  const isRemovedAtLast = () => {
    const { command } = docker.runs.at(-1) as Run;
    return command[1] === 'rm' && command.at(-1) === CONTAINER;
  };
  const failing = (exitCode: number | null) => () => {
    throw new CommandError(['docker', 'run'], exitCode, 'psycopg2: no such module');
  };

  it('installs the modules, then compiles the assets of the first pages', async () => {
    expect(await init()).to.equal(undefined);
    expect(steps()).to.deep.equal(['--init=sale_management,stock', 'shell']);
    expect(runsOfOdoo()[1]?.input).to.include('_get_asset_bundle');
  });

  it('puts the company into its country before any module takes country and currency from it', async () => {
    expect(await init({ countryCode: 'ES' })).to.equal(undefined);
    expect(steps()).to.deep.equal([
      '--init=base',
      'shell',
      '--init=sale_management,stock',
      'shell',
    ]);
    expect(runsOfOdoo()[1]?.input).to.include("('code', '=', 'ES')");
  });

  for (const code of ['es', 'ESP', "E'", "')]); evil(('"])
    it(`runs nothing of a country that is none: ${code}`, async () => {
      expect(await init({ countryCode: code })).to.be.instanceOf(TypeError);
      expect(steps()).not.to.include('shell');
      expect(isRemovedAtLast()).to.equal(true);
    });

  for (const [languages, expected] of [
    [['es_ES'], ['--load-language=es_ES']],
    [['es_ES', 'fr_FR'], ['--load-language=es_ES,fr_FR']],
    [[], []],
  ] as const)
    it(`loads ${languages.join(' and ') || 'no language'} beside English, which is there`, async () => {
      await init({ languages });
      const [install] = runsOfOdoo();
      const loads = install?.command.filter((it) => it.startsWith('--load-language'));
      expect(loads).to.deep.equal(expected);
    });

  it('works on one database, ends by itself, and has no network', async () => {
    await init();
    for (const { command } of runsOfOdoo())
      expect(command).to.include.members([
        ...['--network=none', '--cap-drop=ALL', '--read-only', `--name=${CONTAINER}`],
        ...['--database=ms_k3x9ab_t_0123456789abcdef', '--no-http'],
        `--volume=${join(folder(), 'filestore')}:/var/lib/odoo/filestore`,
        ...['--label=microsaas.install=k3x9ab', '--label=microsaas.helper=odoo-init'],
      ]);
    expect(runsOfOdoo()[0]?.command).to.include('--stop-after-init');
  });

  it('has the password in a file that only Odoo’s user reads, and that is gone afterwards', async () => {
    await init({ countryCode: 'ES' });
    expect(confs).to.have.length(4);
    for (const { mode, text } of confs) {
      expect(mode).to.equal(0o600);
      expect(text).to.include(`db_password = ${PASSWORD}\n`);
      expect(text).to.include('db_user = ms_k3x9ab_t_0123456789abcdef\n');
    }
    expect(existsSync(conf())).to.equal(false);
    for (const { command, input } of docker.runs)
      expect([...command, input].join(' ')).not.to.include(PASSWORD);
  });

  it('finds the modules of the checkouts, which it cannot change', async () => {
    const [one, other] = ['a'.repeat(40), 'b'.repeat(40)];
    const checkout = (commit: string) => join(folder(), 'checkouts', commit);
    for (const module of [`${one}/addons/x`, `${one}/more/y`, other]) {
      await mkdir(checkout(module), { recursive: true });
      await writeFile(join(checkout(module), '__manifest__.py'), '{}');
    }
    await init({
      repositories: [
        { url: 'https://git.example.com/addons', commit: one },
        { url: 'https://git.example.com/z', commit: other },
      ],
    });
    expect(confs[0]?.text).to.include(
      'addons_path = /mnt/extra-addons/1/addons,/mnt/extra-addons/1/more,/mnt/extra-addons/2\n',
    );
    expect(runsOfOdoo()[0]?.command).to.include.members([
      `--volume=${checkout(one)}:/mnt/extra-addons/1:ro`,
      `--volume=${checkout(other)}:/mnt/extra-addons/2/z:ro`,
    ]);
  });

  it('names no path of addons where there is none beside Odoo’s own', async () => {
    await init();
    expect(confs[0]?.text).not.to.include('addons_path');
  });

  it('first removes what a killed sidecar has left, which would still write to the database', async () => {
    docker.join('', CONTAINER);
    await init();
    expect(docker.containers.size).to.equal(0);
    const [first] = docker.runs.filter(({ command }) => !command.includes('--entrypoint=id'));
    expect(first?.command.slice(1)).to.deep.equal(['rm', '--force', '--', CONTAINER]);
  });

  for (const code of [1, 255])
    it(`takes Odoo at its word that modules cannot be installed (it ends with ${code}): only a person can help`, async () => {
      odoo = failing(code);
      const error = await init();
      expect(error).to.be.instanceOf(TerminalError);
      expect(error).to.include({ reason: 'ModulesFailed', detail: 'sale_management, stock' });
      expect((error as TerminalError).message, 'words of a module are for the log').not.to.include(
        'psycopg2',
      );
      expect(((error as TerminalError).cause as CommandError).stderr).to.include('psycopg2');
    });

  for (const code of [125, 137, 143, null])
    it(`tries again where not Odoo ended it, but ${code === null ? 'a signal' : `Docker or the kernel (${code})`}`, async () => {
      odoo = failing(code);
      expect(await init())
        .to.be.instanceOf(RetryableError)
        .with.property('reason', 'ModulesInterrupted');
    });

  it('calls it no fault of the modules when the sidecar stops', async () => {
    const stop = new AbortController();
    odoo = (run) => {
      stop.abort();
      throw new CommandError(run.command, 1, 'terminated');
    };
    expect(await init({ signal: stop.signal })).to.be.instanceOf(CommandError);
  });

  it('leaves no password behind where its file cannot be given to Odoo’s user', async () => {
    expect(await init({}, { uid: 2 ** 40, gid: 2 ** 40 })).to.be.instanceOf(RangeError);
    expect(existsSync(conf())).to.equal(false);
  });

  for (const [way, end] of [
    ['it worked', () => ''],
    ['the modules failed', failing(1)],
    ['it was cut short', failing(137)],
    [
      'something unexpected happened',
      () => {
        throw new Error('unexpected');
      },
    ],
  ] as const)
    it(`leaves neither container nor password behind, ${way}`, async () => {
      odoo = end;
      await init();
      expect(isRemovedAtLast()).to.equal(true);
      expect(existsSync(conf())).to.equal(false);
    });
});
