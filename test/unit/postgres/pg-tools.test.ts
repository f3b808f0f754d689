import { expect } from 'chai';
import { type PgLogin, PgTools } from '../../../src/postgres/pg-tools.ts';
import { FakeDocker, type Run } from '../../fakes/docker.ts';

const LOGIN: PgLogin = {
  socketDir: '/srv/microsaas/postgresql',
  database: 'ms_k3x9ab_7',
  role: 'ms_k3x9ab_7_role',
  password: 'hunter2 = [tenant]',
};
const FILE = '/srv/microsaas/archives/7/database.dump';
const SCRIPT = '/srv/microsaas/archives/7/dump.sql';

describe('pg_dump and pg_restore', () => {
  const { signal } = new AbortController();
  let docker: FakeDocker;
  let tools: PgTools;
  beforeEach(() => {
    docker = new FakeDocker();
    for (const program of ['pg_dump', 'pg_restore']) docker.programs.set(program, () => 'said');
    tools = new PgTools('k3x9ab', 'postgres:17', docker.cli);
  });

  /** What is done with a dump, and what the program is asked for. */
  const EACH: ReadonlyArray<[string, () => Promise<unknown>]> = [
    ['dump', () => tools.dump(LOGIN, FILE, signal)],
    ['restore', () => tools.restore(LOGIN, FILE, signal)],
    ['script', () => tools.script(FILE, SCRIPT, signal)],
  ];
  /** What a run gives Docker, and what it gives the program. */
  const parts = ({ command }: Run) => {
    const end = command.indexOf('--');
    return {
      options: command.slice(2, end),
      image: command[end + 1],
      args: command.slice(end + 2),
    };
  };

  it('dumps a whole database into a file of a folder that the container sees, and waits for no lock for long', async () => {
    await tools.dump(LOGIN, FILE, signal);
    expect(docker.runs.map(parts)[0]?.options).to.include.members([
      '--entrypoint=pg_dump',
      '--volume=/srv/microsaas/archives/7:/archive',
    ]);
    expect(docker.runs.map(parts)[0]?.args).to.have.members([
      '--no-password',
      '--format=custom',
      '--file=/archive/database.dump',
      '--lock-wait-timeout=30s',
    ]);
  });

  it('restores as the tenant alone: nothing becomes anybody else’s, and the first error ends it', async () => {
    await tools.restore(LOGIN, FILE, signal);
    const { args, options } = parts(docker.runs[0] as Run);
    expect(options).to.include('--entrypoint=pg_restore');
    expect(args).to.include.members(['--exit-on-error', '--no-owner', '--no-privileges']);
    expect(args.slice(-3)).to.deep.equal([
      '--dbname=service=tenant',
      '--',
      '/archive/database.dump',
    ]);
  });

  it('logs in by what standard input says, as the tenant into one database', async () => {
    for (const [, run] of EACH.slice(0, 2)) await run();
    for (const { command, input } of docker.runs) {
      expect(input).to.equal(
        '[tenant]\nhost=/run/postgresql\ndbname=ms_k3x9ab_7\nuser=ms_k3x9ab_7_role\npassword=hunter2 = [tenant]\n',
      );
      expect(command).to.include.members([
        '--interactive',
        '--env=PGSERVICEFILE=/dev/stdin',
        '--env=PGSERVICE=tenant',
        '--volume=/srv/microsaas/postgresql:/run/postgresql:ro',
      ]);
    }
  });

  it('needs no login to read a dump', async () => {
    await tools.script(FILE, SCRIPT, signal);
    for (const { command, input } of docker.runs) {
      expect(input).to.equal(undefined);
      expect(command.join(' ')).not.to.include('/run/postgresql');
    }
  });

  for (const [what, change] of [
    ['password', { password: 'a\nhost=elsewhere' }],
    ['password', { password: 'a\rb' }],
    ['role', { role: 'a\nuser=postgres' }],
    ['database', { database: 'a\0b' }],
  ] as const)
    it(`logs nobody in with a ${what} that would be another line: ${JSON.stringify(change)}`, async () => {
      const error = await tools
        .dump({ ...LOGIN, ...change }, FILE, signal)
        .catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(TypeError);
      expect((error as Error).message).not.to.include(Object.values(change).join());
      expect(docker.runs).to.deep.equal([]);
    });

  for (const [what, run] of EACH)
    it(`${what}: in a container without network, rights and password, as the sidecar’s own user, marked as a helper`, async () => {
      await run();
      expect(docker.runs).not.to.deep.equal([]);
      for (const it of docker.runs) {
        const { image, options } = parts(it);
        expect(image).to.equal('postgres:17');
        expect(options).to.include.members([
          ...['--rm', '--network=none', '--cap-drop=ALL', '--read-only'],
          `--user=${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`,
          ...['--label=microsaas.install=k3x9ab', '--label=microsaas.helper=pg-tools'],
        ]);
        expect(it.command.join(' ')).not.to.include(LOGIN.password);
        expect(it.signal, 'it ends with the sidecar').to.equal(signal);
      }
    });
});
