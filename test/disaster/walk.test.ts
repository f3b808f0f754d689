import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { installId } from '../../stack/install-id.ts';
import { ManagerStack } from '../../stack/manager.ts';
import { OdooRpc } from '../../stack/odoo-rpc.ts';
import { varPath } from '../../stack/paths.ts';
import { type RunError, run } from '../../stack/run.ts';
import { ensureSidecarImage } from '../../stack/sidecar-image.ts';
import { takeDown } from '../../stack/takedown.ts';
import { eventually } from '../e2e/support/eventually.ts';
import { Instances, type Row } from '../e2e/support/instances.ts';
import { Shop } from '../e2e/support/shop.ts';
import { Sidecar } from '../e2e/support/sidecar.ts';
import {
  type BackupServer,
  ensureBackupServers,
  startRestServer,
} from '../support/backup-servers.ts';
import { noNight } from '../support/no-night.ts';
import { PORT_OFFSETS } from '../support/port-offsets.ts';

const MINUTE = 60_000;
/** How the server of the backups is entered. */
const LOGIN = { user: 'microsaas', password: 'a password of the server' };
/** What a customer writes into their Odoo: a record, and a file. */
const NOTE = 'Written before the disaster';
const FILE = Buffer.from('a file of the customer').toString('base64');

/** docs/disaster.md, typed: what is in `kept` is all that is left of the first machine. */
describe('from an empty machine to all customers', function () {
  this.timeout(10 * MINUTE);
  // Each step of the walk stands on the one before.
  this.bail(true);
  const dir = varPath('disaster');
  const kept = varPath('disaster-kept');
  /** On another machine, which is not lost. */
  let server: BackupServer;
  let stack: ManagerStack;
  let sidecar: Sidecar;
  let sold: Row;
  let login: { login: string; password: string };

  /** The stack as `npm run deploy` sets it up from the same deploy.yaml. */
  const setUp = async (install: string): Promise<void> => {
    const place = {
      repository: `rest:http://127.0.0.1:${server.port}/`,
      environmentFile: '/etc/microsaas/backup-server.env',
    };
    stack = new ManagerStack({
      ...{ dir, install, modules: ['account', 'micro_saas'], databases: 'one' },
      // As other tests have them, whose template is copied.
      languages: ['es_ES'],
      templateCopies: varPath('template-copies'),
      sidecarImage: await ensureSidecarImage(),
      sidecarSettings: { backups: { ...noNight().backups, ...place } },
      portOffset: PORT_OFFSETS.disaster,
      say: (line) => process.stdout.write(`    ${line}\n`),
    });
    sidecar = new Sidecar(stack);
    await stack.startManager();
    const variables = { RESTIC_REST_USERNAME: LOGIN.user, RESTIC_REST_PASSWORD: LOGIN.password };
    const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
    await stack.files.write('sidecar/backup-server.env', lines.join(''));
    await stack.connectSidecar();
    await stack.startSidecar();
  };
  const removeAll = async (install: string): Promise<void> => {
    await takeDown(install, dir);
    await rm(kept, { recursive: true, force: true });
  };
  const instances = async () => new Instances((await stack.manager()).rpc);
  const theirs = ({ id, instance_url: url }: Row) =>
    new OdooRpc({ ...login, url: String(url), database: `ms_${stack.install}_${id}` });
  const expectData = async (row: Row) => {
    const named = [['name', '=', NOTE]];
    expect(await theirs(row).read('res.partner', named, ['id'])).to.have.lengthOf(1);
    const files = await theirs(row).read<{ datas: string }>('ir.attachment', named, ['datas']);
    expect(files.map(({ datas }) => datas)).to.deep.equal([FILE]);
  };

  before(async () => {
    const install = await installId(varPath('disaster-install-id'));
    await removeAll(install);
    await mkdir(kept, { recursive: true });
    await ensureBackupServers();
    server = await startRestServer(await installId(varPath('disaster-server-id')), kept, LOGIN);
    await setUp(install);
  });
  after(async () => {
    if (stack) await removeAll(stack.install);
    await server?.remove();
  });

  it('a customer’s instance and the manager are backed up to another place', async () => {
    const shop = new Shop((await stack.manager()).rpc);
    const invoice = await shop.sell([{ product: await shop.plan() }]);
    [sold] = (await (await instances()).running(invoice, 1, 300)) as [Row];
    login = await sidecar.secret(sold.id);
    await theirs(sold).create('res.partner', { name: NOTE });
    await theirs(sold).create('ir.attachment', { name: NOTE, datas: FILE });
    await sidecar.microsaas('backup', String(sold.id));
    await sidecar.microsaas('backup', 'manager');
    await copyFile(join(stack.files.dataDir, 'backups', 'escrow.json'), join(kept, 'escrow.json'));
    await writeFile(join(kept, 'install-id'), stack.install);
    await copyFile(stack.files.path('secrets/admin-password'), join(kept, 'admin-password'));
  });

  it('the machine is lost, and an empty one is set up with the install’s id', async () => {
    await takeDown(stack.install, dir);
    await setUp(await installId(join(kept, 'install-id')));
    expect(await (await instances()).find([])).to.deep.equal([]);
  });

  it('says who works for the install, and takes its place when told twice', async () => {
    const folder = join(stack.files.dataDir, 'backups');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await copyFile(join(kept, 'escrow.json'), join(folder, 'escrow.json'));
    const refused = await sidecar.microsaas('take-over').then(
      () => 'taken over unasked',
      ({ output }: RunError) => output,
    );
    expect(refused).to.include('--yes');
    await sidecar.microsaas('take-over', '--yes');
  });

  it('has the manager again, with its invoices and instances', async () => {
    await sidecar.microsaas('restore', 'manager', 'latest', '--yes');
    const restored = join(stack.files.dataDir, 'backups', 'configuration-of-backup');
    for (const name of ['api-key', 'webhook-secret'])
      await copyFile(
        join(restored, 'etc', 'microsaas', name),
        stack.files.path(join('sidecar', name)),
      );
    await copyFile(
      join(restored, stack.files.dataDir, 'backups', 'escrow.json'),
      join(stack.files.dataDir, 'backups', 'escrow.json'),
    );
    await sidecar.restartReady();
    await stack.files.write(
      'secrets/admin-password',
      await readFile(join(kept, 'admin-password'), 'utf8'),
    );
    const row = await eventually(async () => (await instances()).row(sold.id), 60);
    expect(row).to.include({ identity: sold.identity, desired_state: 'running' });
  });

  it('has each customer again, with their password, data and files, and is well', async () => {
    await sidecar.microsaas('restore', '--all', '--yes');
    const row = await (await instances()).reaches(sold.id, 'running', 120);
    expect(row.identity).to.equal(sold.identity);
    await expectData(row);
    await sidecar.microsaas('restore', '--all', '--yes');
    const count = await run('docker', [
      'ps',
      '--quiet',
      '--filter',
      `label=microsaas.instance=${row.id}`,
      '--filter',
      `label=microsaas.install=${stack.install}`,
    ]);
    expect(count.split('\n')).to.have.lengthOf(1);
  });

  it('another instance begins with a copy of a repository, as in a move to another install', async () => {
    const all = await instances();
    const shop = new Shop((await stack.manager()).rpc);
    const plan = await shop.plan({ provision: 'manual' });
    const invoice = await shop.sell([{ product: plan }]);
    const id = await all.rpc.create('odoo.docker.instance', { factura_id: invoice });
    const moved = join(stack.files.dataDir, 'moved');
    const name = `${stack.install}-${sold.id}-${sold.identity.slice(0, 8)}`;
    const [repository, escrow] = [join(moved, name), join(moved, 'escrow.json')];
    await mkdir(moved);
    await run('docker', ['cp', '--', `${server.name}:/srv/rest/${name}`, repository]);
    await copyFile(join(kept, 'escrow.json'), escrow);
    await sidecar.microsaas(...['restore', String(id), '--from', repository, '--escrow', escrow]);
    await all.reaches(id, 'stopped');
    await all.press(id, 'start_instance');
    const row = await all.reaches(id, 'running', 120);
    await expectData(row);
    await expectData(await all.row(sold.id));
  });
});
