import { mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import type { BackupStore } from '../../src/backups/backup-store.ts';
import { Restores } from '../../src/backups/restores.ts';
import { Updates, type UpdatesOptions } from '../../src/backups/updates.ts';
import { OdooUpdate } from '../../src/databases/odoo-update.ts';
import type { Images } from '../../src/docker/images.ts';
import { databaseName } from '../../src/instance/name.ts';
import type { Job } from '../../src/instance/types.ts';
import type { ProofServer } from '../../src/postgres/proof-server.ts';
import { Repositories } from '../../src/repositories/repositories.ts';
import { images } from '../../stack/images.ts';
import { withSql } from '../../stack/sql.ts';
import { backupStore } from '../support/backup-store.ts';
import { anInstance, aRepository, identityOf } from '../support/samples.ts';
import {
  docker,
  makeDatabase,
  type TenantDatabases,
  tenantDatabases,
} from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

const commit = (digit: string) => digit.repeat(40);
const [FIRST, SECOND, RAISES, HALF_WAY, SILENT] = ['1', '2', '3', '4', '5'].map(commit);

/** The versions of a made-up module, by commit. */
const MODULE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  [FIRST ?? '']: {},
  [SECOND ?? '']: {
    'migrations/19.0.2.0/post-migrate.py':
      "def migrate(cr, version):\n    cr.execute(\"UPDATE ir_config_parameter SET value = '2' WHERE key = 'ms_note.version'\")\n",
  },
  [RAISES ?? '']: { '__init__.py': "raise RuntimeError('made to fail')\n" },
  [HALF_WAY ?? '']: {
    'migrations/19.0.2.0/post-migrate.py':
      "def migrate(cr, version):\n    cr.execute(\"UPDATE ir_config_parameter SET value = 'half' WHERE key = 'ms_note.version'\")\n    cr.commit()\n    raise RuntimeError('made to fail')\n",
  },
  [SILENT ?? '']: {
    '__init__.py':
      "from odoo import http\nfrom odoo.addons.web.controllers.home import Home\n\nclass Silent(Home):\n    @http.route()\n    def web_login(self, *args, **kwargs):\n        raise RuntimeError('made to fail')\n",
  },
};

describe('updates, with a real Odoo', function () {
  this.timeout(900_000);
  const customer = { ...anInstance().customer, lang: 'en_US', countryCode: '' };
  const never = new AbortController().signal;
  let postgres: TenantPostgres;
  let sidecar: TenantDatabases;
  let store: BackupStore;
  let here: Images;
  let proofServer: ProofServer;
  let restores: Restores;
  let snapshot: string;
  let newest = SECOND ?? '';

  const instanceAt = (at: string | undefined) =>
    anInstance({
      ...{ id: 1, customer, wasReady: true, imageDigest: images.odoo },
      ...{ modules: ['ms_note'], givenModules: ['ms_note'] },
      repositories: [aRepository({ commit: at ?? '', isOfPlan: true })],
    });
  const instance = instanceAt(FIRST);
  const job = (id: number, kind: Job['kind'] = 'update'): Job => ({
    ...{ id, identity: identityOf(id), kind, snapshot: '' },
  });
  const name = () => databaseName(postgres.install, instance.id);
  const firstValue = async (query: string) => {
    const { dbPassword: password } = await sidecar.dirs.secrets(instance.id);
    const [row] = await withSql({ ...postgres.server, user: name(), password }, name(), (sql) =>
      sql(query),
    );
    return (row as { value: string } | undefined)?.value;
  };
  const version = () =>
    firstValue("SELECT value FROM ir_config_parameter WHERE key = 'ms_note.version'");
  const stateOf = (module: string) =>
    firstValue(`SELECT state AS value FROM ir_module_module WHERE name = '${module}'`);
  const filestore = () => join(sidecar.dirs.paths(instance.id).filestore, name());
  const thrownBy = (work: Promise<unknown>) =>
    work.then(
      () => ({ reason: 'done', detail: '' }),
      (error) => error,
    );
  const updates = (change: Partial<UpdatesOptions> = {}) => {
    const repositories = new Repositories({ dataDir: postgres.dataDir });
    const { install } = postgres;
    return new Updates({
      ...{ install, dirs: sidecar.dirs, disk: { checkRoom: async () => {} }, store },
      replacements: sidecar.databases.replacements,
      odoo: new OdooUpdate({ install, docker, images: here, repositories }),
      hasMemory: () => true,
      newestImage: async () => images.odoo,
      presentImage: async ({ imageDigest }) => imageDigest,
      localPin: (pin) => here.localPin(pin),
      userOf: (image) => here.user(image),
      fetch: async () => [{ id: 1, commit: newest }],
      ...change,
    });
  };
  const progress = async () => {};

  before(async () => {
    postgres = await startTenantPostgres('update-test');
    for (const [at, files] of Object.entries(MODULE)) await writeModule(at, files);
    sidecar = await tenantDatabases(postgres);
    await makeDatabase(sidecar.databases, { ...instance, wasReady: false });
    const { install } = postgres;
    const parts = backupStore(postgres, sidecar);
    ({ here, proofServer, store } = parts);
    const { tools } = parts;
    restores = new Restores({
      ...{ install, dirs: sidecar.dirs, tools, replacements: sidecar.databases.replacements },
      odooOf: async () => 19,
      inRestored: (...args) => store.inRestored(...args),
    });
    await store.take(instance, { isByHand: false }, never);
    snapshot = (await store.list(instance, never)).at(-1)?.snapshot ?? '';
  });
  after(async () => {
    await proofServer?.close();
    await postgres?.remove();
  });

  async function writeModule(at: string, files: Readonly<Record<string, string>>) {
    const root = join(postgres.dataDir, 'checkouts', at, 'ms_note');
    const number = at === FIRST ? '1' : '2';
    const all = {
      '__init__.py': '',
      '__manifest__.py': `{'name': 'Note', 'version': '19.0.${number}.0', 'depends': ['web'], 'data': ['data.xml'], 'license': 'LGPL-3', 'author': 'x'}\n`,
      'data.xml':
        '<odoo noupdate="1"><record id="version" model="ir.config_parameter"><field name="key">ms_note.version</field><field name="value">1</field></record></odoo>\n',
      ...files,
    };
    for (const [path, text] of Object.entries(all)) {
      await mkdir(dirname(join(root, path)), { recursive: true, mode: 0o755 });
      await writeFile(join(root, path), text);
    }
  }

  for (const [title, at, why] of [
    ['raises when it is imported', RAISES, /made to fail|RuntimeError/],
    ['fails half-way through its migration', HALF_WAY, /made to fail|RuntimeError/],
    ['leaves the login page at 500', SILENT, /login 500|made to fail/],
  ] as const) {
    it(`what ${title} is found by the rehearsal; the instance’s data are not touched`, async () => {
      newest = at ?? '';
      const work = updates().rehearse(instance, job(1), snapshot, progress, never);
      const { detail, reason } = await thrownBy(work);
      expect(reason).to.equal('UpdateFailed');
      expect(detail).to.match(why);
      expect(await restores.prepared(instance)).to.equal('');
      expect(await version()).to.equal('1');
    });
  }

  it('what fails only on the present data leaves them as they were', async () => {
    newest = HALF_WAY ?? '';
    // What a rehearsal gives: no errors from before.
    const passed = async () => [] as never;
    const one = updates({ store: { inRestored: passed, inProofServer: passed } });
    await one.rehearse(instance, job(2), snapshot, progress, never);
    expect(await thrownBy(one.make(instance, never))).to.have.property('reason', 'UpdateFailed');
    await one.abandon(instance);
    expect(await restores.prepared(instance)).to.equal('');
    expect(await version()).to.equal('1');
    expect((await stat(filestore())).isDirectory()).to.equal(true);
  });

  it('a newer version is rehearsed, made on a copy, put in place, and undone', async () => {
    newest = SECOND ?? '';
    await updates().rehearse(instance, job(3), snapshot, progress, never);
    expect(await restores.prepared(instance)).to.equal(identityOf(3));
    expect(await version(), 'rehearsed elsewhere').to.equal('1');
    await updates().make(instance, never);
    expect(await version(), 'made on a copy').to.equal('1');
    const commits = [{ id: 1, commit: SECOND }];
    const pins = { imageDigest: images.odoo, commits, givenModules: ['ms_note'] };
    expect(await updates().pins(instance)).to.deep.equal(pins);
    await restores.carryOut(instance, job(3));
    expect(await version()).to.equal('2');
    expect(await updates().pins(instance), 'carried out').to.equal(null);

    const undo = job(4, 'undo_update');
    await updates().prepareUndo(instanceAt(SECOND), undo);
    await restores.prepare(instanceAt(SECOND), undo, progress, never);
    expect((await updates().pins(instance))?.commits).to.deep.equal([{ id: 1, commit: FIRST }]);
    await restores.carryOut(instance, undo);
    expect(await version()).to.equal('1');
    expect((await stat(filestore())).isDirectory()).to.equal(true);
  });

  it('a module that the plan got later is installed, and one that does not exist is found by the rehearsal', async () => {
    newest = FIRST ?? '';
    const withMore = (...more: string[]) => ({ ...instance, modules: ['ms_note', ...more] });
    const work = updates().rehearse(withMore('ms_gone'), job(6), snapshot, progress, never);
    expect(await thrownBy(work)).to.include({ reason: 'UpdateFailed', detail: 'modules ms_gone' });
    const more = withMore('http_routing');
    expect(await stateOf('http_routing')).not.to.equal('installed');
    await updates().rehearse(more, job(7), snapshot, progress, never);
    await updates().make(more, never);
    await restores.carryOut(more, job(7));
    expect(await stateOf('http_routing')).to.equal('installed');
    expect(await version(), 'what it had is as it was').to.equal('1');
  });

  it('nothing newer is no update', async () => {
    newest = FIRST ?? '';
    const work = updates().rehearse(instance, job(5), snapshot, progress, never);
    expect(await thrownBy(work)).to.have.property('reason', 'NothingToUpdate');
  });
});
