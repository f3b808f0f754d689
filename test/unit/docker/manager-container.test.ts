import { expect } from 'chai';
import {
  findManager,
  findManagerAdmin,
  hostPath,
  optionsIn,
} from '../../../src/docker/manager-container.ts';
import { FakeDocker } from '../../fakes/docker.ts';

const INSTALL = 'k3x9ab';
const CONF = `[options]
; a comment
data_dir = /var/lib/odoo
db_host = /run/postgresql
db_user = odoo
db_password = a = b
dbfilter = ^manager$
admin_passwd =
db_port = False
`;

describe('the manager’s container', () => {
  const { signal } = new AbortController();
  let docker: FakeDocker;
  let conf: string;
  const find = () =>
    findManager({ install: INSTALL, api: docker.api, docker: docker.cli, image: 'base' }, signal);
  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      ({ reason, detail }) => `${reason}: ${detail}`,
    );
  const add = (id: string, part = 'manager', more: Record<string, string> = {}) =>
    docker.containers.set(id, {
      ...{ id, name: `ms-${INSTALL}-${id}`, state: 'running', created: 0, published: new Map() },
      labels: { 'microsaas.install': INSTALL, 'microsaas.part': part, ...more },
      ...{ restarts: 0, ended: null },
    } as never);

  beforeEach(() => {
    docker = new FakeDocker();
    conf = CONF;
    docker.programs.set('cat', () => conf);
    add('m1');
    docker.madeWith.set('m1', {
      mounts: [
        { from: '/var/lib/docker/volumes/files/_data', to: '/var/lib/odoo' },
        { from: '/srv/stack/manager/postgresql', to: '/run/postgresql' },
        { from: '/srv/stack/manager/odoo.conf', to: '/etc/odoo/odoo.conf' },
      ],
    });
  });

  it('says where the manager’s files and its Postgres are, and how its Odoo logs in', async () => {
    expect(await find()).to.deep.equal({
      container: 'm1',
      isRunning: true,
      filestores: '/var/lib/docker/volumes/files/_data/filestore',
      socketDir: '/srv/stack/manager/postgresql',
      ...{ role: 'odoo', password: 'a = b' },
    });
    const [run] = docker.ran('run').map(({ command }) => command.join(' '));
    expect(run).to.include('--network=none').and.to.include('--cap-add=DAC_READ_SEARCH');
    expect(run).to.include('source=/srv/stack/manager/odoo.conf,target=/file,readonly');
  });

  it('is not one that Compose runs once beside it, to upgrade the addon', async () => {
    add('once', 'manager', { 'com.docker.compose.oneoff': 'True' });
    expect(await find()).to.have.property('container', 'm1');
  });

  it('has its Postgres beside it, whose superuser’s name and password its image was told', async () => {
    const host = { install: INSTALL, api: docker.api, docker: docker.cli, image: 'base' };
    expect(await reasonOf(findManagerAdmin(host, signal))).to.match(/^ManagerOutOfReach/);
    add('d1', 'manager-db');
    docker.madeWith.set('d1', {
      mounts: [{ from: '/srv/stack/secrets/db', to: '/run/secrets/db' }],
      environment: new Map([
        ['POSTGRES_USER', 'microsaas'],
        ['POSTGRES_PASSWORD_FILE', '/run/secrets/db'],
      ]),
    });
    conf = 'secret\n';
    const admin = { role: 'microsaas', password: 'secret' };
    expect(await findManagerAdmin(host, signal)).to.deep.equal(admin);
  });

  it('is out of reach where it is none, one of two, elsewhere by TCP, or keeps its files in itself', async () => {
    add('m2');
    expect(await reasonOf(find())).to.match(/^ManagerOutOfReach: several/);
    docker.containers.clear();
    expect(await reasonOf(find())).to.match(/^ManagerOutOfReach: no container/);
    add('m1');
    conf = CONF.replace('/run/postgresql', 'db.example.com');
    expect(await reasonOf(find())).to.match(/^ManagerOutOfReach: db_host/);
    conf = CONF.replace('/var/lib/odoo', '/opt/data');
    expect(await reasonOf(find())).to.match(
      /^ManagerOutOfReach: \/opt\/data\/filestore of its container/,
    );
    docker.madeWith.clear();
    expect(await reasonOf(find())).to.match(/^ManagerOutOfReach: \/etc\/odoo\/odoo.conf/);
  });

  it('is reached through the mount that is nearest, by whole names, and never by a path with a comma', () => {
    const mounts = [
      { from: '/a', to: '/var' },
      { from: '/b', to: '/var/lib/odoo' },
      { from: '', to: '/var/lib/odoo/x' },
    ];
    expect(hostPath(mounts, '/var/lib/odoo')).to.equal('/b');
    expect(hostPath(mounts, '/var/lib/odoo/x')).to.equal('/b/x');
    expect(hostPath(mounts, '/var/lib/odoo2')).to.equal('/a/lib/odoo2');
    expect(() => hostPath(mounts, '/variable')).to.throw('out of reach');
    expect(() => hostPath([{ from: '/a,ro', to: '/b' }], '/b')).to.throw('comma');
  });

  it('has options as Odoo writes them: False and nothing are none', () => {
    expect([...optionsIn(CONF).keys()]).to.deep.equal([
      ...['data_dir', 'db_host', 'db_user', 'db_password', 'dbfilter'],
    ]);
  });
});
