import { expect } from 'chai';
import { accessTo, libpqOptions, odooOptions } from '../../../src/docker/postgres-access.ts';
import { CommandError } from '../../../src/errors.ts';
import { FakeDocker } from '../../fakes/docker.ts';

const SERVER = { hosts: ['localhost', '192.0.2.22'], port: 5433, caFile: '/d/ca.crt' };

describe('the way from a helper to a Postgres', () => {
  let docker: FakeDocker;
  beforeEach(() => {
    docker = new FakeDocker();
  });
  const access = (server: Parameters<typeof accessTo>[1]) =>
    accessTo({ install: 'k3x9ab', docker: docker.cli }, server);

  it('is its socket, without any network', async () => {
    expect(await access({ socketDir: '/d/socket' })).to.deep.equal({
      network: 'none',
      options: ['--volume=/d/socket:/run/postgresql:ro'],
    });
    expect([...docker.networks.keys()]).to.deep.equal([]);
  });

  it('is the closed network, made where it is not there, without a name server', async () => {
    const { network, options } = await access(SERVER);
    expect(network).to.equal('ms-k3x9ab-net-c');
    expect([...docker.networks.keys()]).to.deep.equal([network]);
    expect(options).to.include.members([
      ...['--dns=127.0.0.1', '--volume=/d/ca.crt:/run/postgresql-ca.crt:ro'],
      ...['--env=PGTARGETSESSIONATTRS=read-write', '--sysctl=net.ipv4.tcp_retries2=5'],
    ]);
    expect((await access(SERVER)).network, 'a second time').to.equal(network);
  });

  it('names the hosts’ addresses of now, and needs none for an address', async () => {
    const { options } = await access(SERVER);
    const named = options.filter((option) => option.startsWith('--add-host='));
    expect(named.join()).to.match(/--add-host=localhost:(127\.0\.0\.1|::1)/);
    expect(named.join()).not.to.include('192.0.2.22');
  });

  it('goes on where one host has no address: another may have', async () => {
    const { options } = await access({ ...SERVER, hosts: ['pg.invalid', 'localhost'] });
    expect(options.join()).to.include('--add-host=localhost:').and.not.include('pg.invalid');
  });

  it('fails where the network cannot be made', async () => {
    const cli = async () => {
      throw new CommandError(
        ['docker'],
        1,
        'all predefined address pools have been fully subnetted',
      );
    };
    const failed = await accessTo({ install: 'k3x9ab', docker: cli }, SERVER).catch(
      (error) => error,
    );
    expect(failed).to.be.instanceOf(CommandError);
  });

  it('verifies the certificate, for Odoo and for Postgres’ own programs', () => {
    expect(odooOptions(SERVER)).to.deep.equal({
      ...{ db_host: 'localhost,192.0.2.22', db_port: '5433', db_sslmode: 'verify-full' },
    });
    expect(libpqOptions(SERVER)).to.include({
      ...{ host: 'localhost,192.0.2.22', port: '5433', sslmode: 'verify-full' },
      ...{ sslrootcert: '/run/postgresql-ca.crt', target_session_attrs: 'read-write' },
    });
  });
});
