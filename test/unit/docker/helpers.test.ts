import { getgid, getuid } from 'node:process';
import { expect } from 'chai';
import { compileCheckout, imageUser, nft, resolvConf } from '../../../src/docker/commands.ts';
import type { DockerCli } from '../../../src/docker/docker-cli.ts';
import { type OdooOnce, odooOnce } from '../../../src/docker/odoo-once.ts';
import type { Command } from '../../../src/host/exec.ts';
import { PgTools } from '../../../src/postgres/pg-tools.ts';
import { runServer } from '../../../src/postgres/scratch-postgres.ts';
import { missingPackages } from '../../../src/repositories/python-packages.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const INSTALL = 'k3x9ab';
const IMAGE = 'an-image';
const ODOO: OdooOnce = {
  ...{ install: INSTALL, kind: 'odoo-init', container: 'ms-init', image: IMAGE },
  ...{ owner: { uid: 100, gid: 101 }, conf: '/d/odoo.conf' },
  access: { network: 'none', options: ['--volume=/d/socket:/run/postgresql:ro'] },
  ...{ filestoreDir: '/d/filestore', database: 'ms_k3x9ab_7' },
  addons: [{ path: '/d/checkout', target: '/mnt/extra-addons/1' }],
};
const LOGIN = { socketDir: '/d/socket', database: 'd', role: 'r', password: 'secret' };

/** What hardens every one of them. */
const HARDENED = '--read-only --security-opt=no-new-privileges --cap-drop=ALL';

const labels = (kind: string) =>
  `--label=microsaas.install=k3x9ab --label=microsaas.helper=${kind}`;

describe('the containers that the sidecar runs for itself', () => {
  const folder = temporaryFolder();
  const { signal } = new AbortController();

  it('asks for the rules of the firewall', () => {
    expect(nft(INSTALL, IMAGE, ['--file', '-']).join(' ')).to.equal(
      `docker run --rm --interactive --pull=never --network=host ${HARDENED} --cap-add=NET_ADMIN --pids-limit=16 --memory=128m ${labels('firewall')} --entrypoint=nft -- an-image --file -`,
    );
  });

  it('reads resolv.conf', () => {
    expect(resolvConf(INSTALL, IMAGE).join(' ')).to.equal(
      `docker run --rm --pull=never --network=bridge ${HARDENED} --pids-limit=16 --memory=64m ${labels('resolv-conf')} --entrypoint=cat -- an-image /etc/resolv.conf`,
    );
  });

  it('asks for the user of an image', () => {
    expect(imageUser(INSTALL, IMAGE).join(' ')).to.equal(
      `docker run --rm --pull=never --network=none ${HARDENED} --pids-limit=16 --memory=64m ${labels('image-user')} --entrypoint=id -- an-image`,
    );
  });

  it('compiles a checkout', () => {
    expect(compileCheckout(INSTALL, IMAGE, '/d/tree').join(' ')).to.equal(
      `docker run --rm --pull=never --network=none ${HARDENED} --pids-limit=64 --memory=512m ${labels('compile')} --user=0:0 --volume=/d/tree:/checkout --entrypoint=timeout -- an-image 120 python3 -m compileall -q -f --invalidation-mode unchecked-hash /checkout`,
    );
  });

  it("runs Odoo's command line", () => {
    expect(odooOnce(ODOO, ['shell'], ['--stop-after-init']).join(' ')).to.equal(
      `docker run --rm --interactive --pull=never --network=none ${HARDENED} --pids-limit=256 --memory=3g ${labels('odoo-init')} --name=ms-init --tmpfs=/tmp --tmpfs=/var/lib/odoo:uid=100,gid=101,mode=0700 --volume=/d/odoo.conf:/etc/odoo/odoo.conf:ro --volume=/d/socket:/run/postgresql:ro --volume=/d/filestore:/var/lib/odoo/filestore --tmpfs=/mnt/extra-addons:mode=0555,size=64k --volume=/d/checkout:/mnt/extra-addons/1:ro --entrypoint=odoo -- an-image shell --config=/etc/odoo/odoo.conf --database=ms_k3x9ab_7 --no-http --log-level=warn --stop-after-init`,
    );
  });

  it("runs Odoo's command line without a filestore and without checkouts", () => {
    const bare = { ...ODOO, filestoreDir: '', addons: [] };
    const text = odooOnce(bare, [], []).join(' ');
    expect(text).to.include(
      '--volume=/d/socket:/run/postgresql:ro --entrypoint=odoo -- an-image --config=',
    );
  });

  it('dumps and restores a database, the password on standard input alone', async () => {
    const { commands, docker, inputs } = recorder();
    const tools = new PgTools(INSTALL, IMAGE, docker);
    await tools.dump(LOGIN, '/d/archive/dump', signal);
    await tools.restore(LOGIN, '/d/archive/dump', signal);
    const limits = `${HARDENED} --pids-limit=64 --memory=2g ${labels('pg-tools')} --user=${getuid?.()}:${getgid?.()} --volume=/d/archive:/archive`;
    const connected = `docker run --rm --interactive --network=none ${limits} --env=PGSERVICEFILE=/dev/stdin --env=PGSERVICE=tenant --env=PGOPTIONS=-c local_preload_libraries= -c default_transaction_read_only=off --volume=/d/socket:/run/postgresql:ro`;
    expect(commands.map((it) => it.join(' '))).to.deep.equal([
      `${connected} --entrypoint=pg_dump -- an-image --no-password --format=custom --file=/archive/dump --lock-wait-timeout=30s`,
      `${connected} --entrypoint=pg_restore -- an-image --no-password --exit-on-error --no-owner --no-privileges --no-comments --dbname=service=tenant -- /archive/dump`,
    ]);
    const service = '[tenant]\nhost=/run/postgresql\ndbname=d\nuser=r\npassword=secret\n';
    expect(inputs).to.deep.equal([service, service]);
  });

  it('runs a Postgres to prepare data with, and stops it', async () => {
    const { commands, docker } = recorder();
    const server = await runServer(
      { install: INSTALL, docker },
      {
        ...{ container: 'ms-pg', postgres: { image: IMAGE, user: { uid: 999, gid: 998 } } },
        ...{ pgdata: folder(), socketDir: '/d/socket', passwordFile: '/d/password', signal },
      },
    );
    await server.stop();
    const common = `--pull=never --network=none ${HARDENED} --pids-limit=256 --memory=1g --label=microsaas.install=k3x9ab --name=ms-pg --tmpfs=/tmp --user=999:998 --volume=/d/password:/run/secrets/postgres-password:ro --volume=${folder()}:/var/lib/postgresql/data --volume=/d/socket:/var/run/postgresql`;
    expect(commands.map((it) => it.join(' '))).to.deep.equal([
      'docker rm --force -- ms-pg',
      `docker run --rm ${common} --entrypoint=initdb -- an-image --username=postgres --auth=scram-sha-256 --pwfile=/run/secrets/postgres-password --pgdata=/var/lib/postgresql/data`,
      `docker run --detach ${common} --stop-signal=SIGINT -- an-image postgres -c listen_addresses= -c jit=off`,
      'docker stop --time=120 -- ms-pg',
      'docker rm --force -- ms-pg',
    ]);
  });

  it('looks for Python packages, and passes over what is not the name of one', async () => {
    const { commands, docker } = recorder('good\nno name\n');
    expect(await missingPackages(docker, INSTALL, IMAGE, '/d/tree', signal)).to.deep.equal([
      'good',
    ]);
    expect(commands.map((it) => it.join(' '))).to.deep.equal([
      `docker run --rm --interactive --network=none ${HARDENED} --pids-limit=64 --memory=256m ${labels('python-packages')} --volume=/d/tree:/checkout:ro --entrypoint=python3 -- an-image -`,
    ]);
  });
});

function recorder(answer = '') {
  const commands: Command[] = [];
  const inputs: (string | undefined)[] = [];
  const docker: DockerCli = async (command, options) => {
    commands.push(command);
    inputs.push(options?.input);
    return answer;
  };
  return { commands, inputs, docker };
}
