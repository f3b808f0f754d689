import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { CommandError } from '../../../src/errors.ts';
import { Restic, type ResticPlace } from '../../../src/restic/restic.ts';
import { FakeDocker } from '../../fakes/docker.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const ID = 'a'.repeat(64);
const SUMMARY = `{"message_type":"summary","snapshot_id":"${ID}"}`;

describe('restic', () => {
  const { signal } = new AbortController();
  const folder = temporaryFolder();
  let docker: FakeDocker;
  /** What restic says, a line a run; a number is the exit code of one that fails, with what it writes. */
  let answers: Array<string | readonly [exitCode: number, stderr: string]>;
  const repository = { name: 'k3x9ab-7-00000000', keyFile: '/keys/7' };
  const restic = (place: Partial<ResticPlace> = {}) =>
    new Restic('k3x9ab', 'microsaas-base:3', docker.cli, {
      ...{ base: folder(), environmentFile: '', sshFolder: '', ...place },
    });
  const runs = () => docker.ran('run').map(({ command }) => command.join(' '));
  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      ({ reason, detail, name }) => `${name} ${reason}: ${detail}`,
    );

  beforeEach(() => {
    docker = new FakeDocker();
    answers = [];
    docker.programs.set('restic', ({ command }) => {
      const answer = answers.shift() ?? '';
      if (typeof answer === 'string') return answer;
      throw new CommandError(command, answer[0], answer[1]);
    });
    mkdirSync(join(folder(), repository.name));
  });

  it('backs up without a network, with the right to read and no other, at the lowest priority', async () => {
    answers = [SUMMARY];
    const sources = [{ from: '/srv/7/filestore', to: 'filestore' }];
    expect(await restic().backup(repository, sources, ['data', 'run:1'], signal)).to.equal(ID);
    const [run = ''] = runs();
    for (const part of [
      ...['--network=none', '--cap-drop=ALL --cap-add=DAC_READ_SEARCH', '--read-only'],
      ...['--volume=/srv/7/filestore:/backup/filestore:ro', '--cpu-shares=128'],
      ...['--volume=/keys/7:/run/key:ro', 'RESTIC_PASSWORD_FILE=/run/key'],
      `--volume=${folder()}/k3x9ab-7-00000000:/repository`,
    ])
      expect(run).to.include(part);
    expect(run.match(/--cap-add/g)).to.have.length(1);
    expect(run).to.match(/--tag=data --tag=run:1 -- \/backup$/);
  });

  it('erases on a server all that it holds, and says so where that keeps it', async () => {
    const rest = { base: 'sftp:backup@192.0.2.7:/srv', environmentFile: '' };
    const one = `[{"id":"${ID}","time":"2026-11-27T00:00:00Z"}]`;
    answers = [one, '', '[]', ''];
    await restic(rest).erase(repository, [], signal);
    const said = runs().map((run) => /an?-image|microsaas-base:3 (.*)$/.exec(run)?.[1] ?? '');
    expect(said.map((line) => / (snapshots|forget|prune)/.exec(line)?.[1])).to.deep.equal([
      ...['snapshots', 'forget', 'snapshots', 'prune'],
    ]);
    answers = [one, '', one];
    expect(await reasonOf(restic(rest).erase(repository, [], signal))).to.equal(
      `TerminalError BackupServerKeeps: ${repository.name}`,
    );
    answers = [[10, 'Fatal: repository does not exist']];
    expect(await reasonOf(restic(rest).erase(repository, [], signal))).to.equal('done');
    answers = [[1, 'Fatal: subprocess ssh: Connection refused']];
    expect(await reasonOf(restic(rest).erase(repository, [], signal))).to.match(/BackupServerAway/);
  });

  it('erases on a server what one that was killed has left of no snapshot any more', async () => {
    answers = ['[]', '[]', ''];
    await restic({ base: 'sftp:backup@192.0.2.7:/srv' }).erase(repository, [], signal);
    expect(runs().at(-1)).to.match(/ prune$/);
  });

  it('takes one that a server does not have for removed only where it has another', async () => {
    const rest = restic({ base: 'sftp:backup@192.0.2.7:/srv' });
    const others = [8, 9].map((id) => ({ name: `k3x9ab-${id}-00000000`, keyFile: `/keys/${id}` }));
    const none = [10, 'Fatal: repository does not exist'] as const;
    answers = [none, none, none];
    expect(await reasonOf(rest.erase(repository, others, signal))).to.equal(
      'RetryableError BackupServerAway: no repository in sftp:backup@192.0.2.7:/srv',
    );
    for (const there of ['[]', [12, 'wrong password or no key found']] as const) {
      answers = [none, none, there];
      expect(await reasonOf(rest.erase(repository, others, signal))).to.equal('done');
    }
    answers = [none, [1, 'Fatal: subprocess ssh: Connection refused']];
    expect(await reasonOf(rest.erase(repository, others, signal))).to.match(/BackupServerAway/);
  });

  it('leaves out what lies deeper than it is told, and nothing else', async () => {
    answers = [SUMMARY];
    const sources = [
      { from: '/a', to: 'files', deepest: 2 },
      { from: '/b', to: 'all' },
    ];
    await restic().backup(repository, sources, ['data'], signal);
    expect(runs()[0]).to.include(' --exclude=/backup/files/*/*/* -- /backup');
    expect(runs()[0]?.match(/--exclude/g)).to.have.length(1);
  });

  it('writes in one container of the repository’s name alone, and reads in any number', async () => {
    answers = [SUMMARY, '[]'];
    const name = 'ms-k3x9ab-restic-k3x9ab-7-00000000';
    await restic().backup(repository, [], ['data'], signal);
    await restic().snapshots(repository, signal);
    const removed = docker.ran('rm').map(({ command }) => command.at(-1));
    expect(removed).to.deep.equal([name]);
    expect(runs()[0]).to.include(`--name=${name}`);
    expect(runs()[1]).not.to.include('--name=');
  });

  it('uses a server’s repository through the host’s network, with its credentials in files', async () => {
    answers = ['[]'];
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const rest = { base: `rest:http://127.0.0.1:${port}/`, environmentFile: '/etc/restic.env' };
    await restic(rest).snapshots(repository, signal);
    server.close();
    expect(runs()[0]).to.include('--network=host');
    expect(runs()[0]).to.include('--env-file=/etc/restic.env');
    expect(runs()[0]).to.include(
      `RESTIC_REPOSITORY=rest:http://127.0.0.1:${port}/k3x9ab-7-00000000`,
    );
    await restic({ base: 'sftp:me@backup.example.com:/b', sshFolder: '/etc/ssh-7' }).snapshots(
      repository,
      signal,
    );
    expect(runs()[1]).to.include('--volume=/etc/ssh-7:/run/ssh:ro');
    expect(runs()[1]).to.include('sftp.args=-i /run/ssh/id -E /proc/1/fd/2 -o BatchMode=yes');
    expect(runs()[1]).to.include('-o StrictHostKeyChecking=yes -o UserKnownHostsFile=/run/ssh/');
  });

  it('asks nothing of a rest-server that accepts no connection', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const base = `rest:http://127.0.0.1:${port}/`;
    expect(await reasonOf(restic({ base }).snapshots(repository, signal))).to.equal(
      `RetryableError BackupServerAway: 127.0.0.1:${port}`,
    );
    expect(runs()).to.deep.equal([]);
  });

  it('makes no folder where a repository should be and is not: the disk may not be mounted', async () => {
    const gone = { ...repository, name: 'k3x9ab-8-00000000' };
    const path = join(folder(), gone.name);
    expect(await reasonOf(restic().snapshots(gone, signal))).to.equal(
      `RetryableError BackupServerAway: no repository at ${path}`,
    );
    expect(runs()).to.deep.equal([]);
  });

  it('leaves no snapshot of a backup in which files are missing', async () => {
    const other = { id: 'b'.repeat(64), time: '2026-11-27T02:00:00Z', tags: ['data', 'run:0'] };
    const half = { ...other, id: ID, tags: ['data', 'run:1'] };
    const [before, after] = [JSON.stringify([other, half]), JSON.stringify([other])];
    answers = [[3, 'one file could not be read'], before, '', after];
    const taken = restic().backup(repository, [], ['data', 'run:1'], signal);
    expect(await reasonOf(taken)).to.match(/^RetryableError BackupFailed/);
    expect(runs()[2]).to.match(new RegExp(`forget -- ${ID}$`));
    expect(runs().at(-1)).to.match(/ prune$/);
  });

  it('removes no data of what a server has kept that only takes more, and says what that is', async () => {
    const snapshots = ['a', 'b'].map((digit) => ({
      ...{ id: digit.repeat(64), time: '2026-11-27T02:00:00Z', tags: ['data'] },
    }));
    const ids = snapshots.map(({ id }) => id);
    answers = ['', JSON.stringify(snapshots.slice(1))];
    expect(await restic().forget(repository, ids, signal)).to.deep.equal([ids[1]]);
    expect(runs().some((run) => run.includes('prune'))).to.equal(false);
    answers = ['', '[]'];
    expect(await restic().forget(repository, ids, signal)).to.deep.equal([]);
    expect(runs().at(-1)).to.match(/ prune$/);
  });

  it('ends the lock of a command that was killed, and goes on', async () => {
    answers = [[11, 'repository is already locked'], 'successfully removed 1 locks', SUMMARY];
    expect(await restic().backup(repository, [], ['data'], signal)).to.equal(ID);
    expect(runs()[1]).to.include('unlock --remove-all');
  });

  it('gives up where the lock comes back', async () => {
    answers = [[11, 'locked'], '', [11, 'locked by PID 7']];
    expect(await reasonOf(restic().backup(repository, [], ['data'], signal))).to.equal(
      'RetryableError BackupLocked: locked by PID 7',
    );
  });

  const FAILURES: ReadonlyArray<readonly [number, string, string]> = [
    [12, 'wrong password or no key found', 'TerminalError BackupKeyWrong'],
    [10, 'repository does not exist', 'RetryableError BackupServerAway'],
    [
      1,
      'Fatal: dial tcp 192.0.2.1:443: connect: connection refused',
      'RetryableError BackupServerAway',
    ],
    [1, 'write /repository/data: no space left on device', 'RetryableError BackupServerFull'],
    [1, 'ciphertext verification failed', 'RetryableError BackupDamaged'],
    [1, 'something new', 'RetryableError BackupFailed'],
  ];
  for (const [exitCode, stderr, expected] of FAILURES)
    it(`says of “${stderr}” ${expected}`, async () => {
      answers = [[exitCode, `first line\n${stderr}\n`]];
      expect(await reasonOf(restic().snapshots(repository, signal))).to.equal(
        `${expected}: ${stderr}`,
      );
    });

  it('reads the message of an error in JSON', async () => {
    answers = [
      [1, '{"message_type":"exit_error","code":1,"message":"Fatal: unable to \\"open\\""}'],
    ];
    expect(await reasonOf(restic().snapshots(repository, signal))).to.equal(
      'RetryableError BackupFailed: Fatal: unable to \\"open\\"',
    );
  });
});
