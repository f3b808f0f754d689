import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Repositories } from '../../../src/engine/repositories.ts';
import { GitServer } from './git-server.ts';

const MODULE = { 'good/__manifest__.py': '{}', 'good/__init__.py': '' };

describe('repositories', function () {
  this.timeout(20_000); // some processes each, and slow machines
  let root: string;
  let dataDir: string;
  let server: GitServer;
  let repositories: Repositories;
  const never = new AbortController().signal;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'microsaas-git-'));
    dataDir = join(root, 'data');
    await mkdir(dataDir);
    server = new GitServer(join(root, 'served'));
    await server.start();
    repositories = new Repositories({ dataDir, allowedProtocols: ['http'], maxMegabytes: 1 });
  });
  afterEach(async () => {
    await server.stop();
    await rm(root, { recursive: true });
  });

  const repository = (name: string, more: { branch?: string; commit?: string } = {}) => ({
    id: 1,
    url: server.url(name),
    branch: '19.0',
    commit: '',
    ...more,
  });
  const checkouts = () => readdir(join(dataDir, 'checkouts')).catch(() => []);
  const failure = (repo: ReturnType<typeof repository>) =>
    repositories.fetch(repo, never).then(
      () => expect.fail('it was fetched'),
      (error) => error,
    );

  it('makes one read-only checkout of a commit, without git, and shares it', async () => {
    const commit = await server.commit('addons', { ...MODULE, 'good/run.sh': 'x' });
    server.git('addons', 'update-index', '--chmod=+x', 'good/run.sh');
    const repo = repository('addons');
    expect(await repositories.has(repo)).to.equal(false);
    expect(await repositories.fetch(repo, never)).to.equal(commit);
    expect(await repositories.has({ ...repo, commit })).to.equal(true);
    const path = repositories.path(commit);
    expect(await readdir(path)).to.deep.equal(['good']);
    expect((await lstat(join(path, 'good/__manifest__.py'))).mode & 0o777).to.equal(0o444);
    expect(await repositories.fetch(repo, never), 'again').to.equal(commit);
    const [one, two] = await Promise.all([0, 1].map(() => repositories.fetch(repo, never)));
    expect([one, two]).to.deep.equal([commit, commit]);
    expect(await checkouts()).to.deep.equal([commit]);
  });

  it('has what compiling added, read-only too, and compiles once', async () => {
    const commit = await server.commit('addons', MODULE);
    let compiled = 0;
    const compile = async (tree: string) => {
      compiled += 1;
      expect(await repositories.has(repository('addons', { commit })), 'in place').to.equal(false);
      await writeFile(join(tree, 'good/compiled.pyc'), 'x');
    };
    for (let times = 0; times < 2; times++)
      await repositories.fetch(repository('addons'), never, compile);
    expect(compiled).to.equal(1);
    const path = join(repositories.path(commit), 'good/compiled.pyc');
    expect((await lstat(path)).mode & 0o777).to.equal(0o444);
  });

  it('has both when two fetch the same commit at once', async () => {
    const commit = await server.commit('addons', MODULE);
    const both = [0, 1].map(() => repositories.fetch(repository('addons'), never));
    expect(await Promise.all(both)).to.deep.equal([commit, commit]);
    expect(await checkouts()).to.deep.equal([commit]);
  });

  it('keeps to the recorded commit when the branch has moved on, without a question to the server', async () => {
    const commit = await server.commit('addons', MODULE);
    const newer = await server.commit('addons', { 'good/__init__.py': '# newer' });
    expect(await repositories.fetch(repository('addons', { commit }), never)).to.equal(commit);
    const before = server.requests;
    expect(await repositories.fetch(repository('addons', { commit }), never)).to.equal(commit);
    expect(server.requests).to.equal(before);
    expect(await repositories.fetch(repository('addons'), never)).to.equal(newer);
  });

  it('takes no tag, and no branch that ends alike, for the branch', async () => {
    await server.commit('addons', MODULE);
    server.git('addons', 'tag', '18.0');
    server.git('addons', 'branch', 'x/refs/heads/18.0');
    const error = await failure(repository('addons', { branch: '18.0' }));
    expect(error).to.include({ name: 'TerminalError', reason: 'BranchMissing' });
    expect(error.message).to.equal(`The repository ${server.url('addons')} has no branch "18.0".`);
    expect(await checkouts()).to.deep.equal([]);
  });

  for (const [name, kind, reason] of [
    ['private', 'TerminalError', 'RepositoryForbidden'],
    ['missing', 'TerminalError', 'RepositoryForbidden'],
  ] as const)
    it(`calls a ${name} repository ${reason}`, async () => {
      expect(await failure(repository(name))).to.include({ name: kind, reason });
    });

  it('calls a dead server RepositoryUnreachable, to be tried again', async () => {
    const repo = repository('addons');
    await server.stop();
    expect(await failure(repo)).to.include({
      name: 'RetryableError',
      reason: 'RepositoryUnreachable',
    });
  });

  it('gives up on a silent server', async () => {
    repositories = new Repositories({ dataDir, allowedProtocols: ['http'], timeoutMs: 300 });
    expect(await failure(repository('silent'))).to.have.property('reason', 'RepositoryUnreachable');
    expect(await checkouts()).to.deep.equal([]);
  });

  it('stops when told to, and says no more than that', async () => {
    const stop = new AbortController();
    const asked = server.nextRequest();
    const fetching = repositories.fetch(repository('silent'), stop.signal).catch((error) => error);
    await asked;
    stop.abort();
    expect(await fetching).to.have.property('name', 'AbortError');
    expect(await checkouts()).to.deep.equal([]);
  });

  it('says when the recorded commit is gone, and when it is none', async () => {
    await server.commit('addons', MODULE);
    for (const commit of ['0'.repeat(39).concat('1'), 'HEAD', '../../etc', '--help'])
      expect(await failure(repository('addons', { commit }))).to.include({
        name: 'TerminalError',
        reason: 'RepositoryInvalid',
      });
  });

  it('refuses what is too large, downloaded or spread out', async () => {
    await server.commit('large', { ...MODULE, large: 'x'.repeat(1024 * 1024) });
    const error = await failure(repository('large'));
    expect(error).to.include({ name: 'TerminalError', reason: 'RepositoryInvalid' });
    expect(error.message).to.contain('is larger than 1 MB');
  });

  it('refuses a repository without a module', async () => {
    await server.commit('empty', { 'README.md': 'x' });
    expect((await failure(repository('empty'))).message).to.contain('no Odoo module');
  });

  for (const target of ['/etc/passwd', '../../../..', 'good/../../x', 'nowhere'])
    it(`refuses a link to ${target}`, async () => {
      await server.commit('links', MODULE);
      await symlink(target, join(root, 'served/links/link'));
      server.commitAll('links');
      const error = await failure(repository('links'));
      expect(error).to.include({ name: 'TerminalError', reason: 'RepositoryInvalid' });
      expect(error.message).to.contain('leads out of it');
      expect(await checkouts()).to.deep.equal([]);
    });

  it('keeps a link that stays inside', async () => {
    await server.commit('links', { ...MODULE, 'setup/x': '' });
    await symlink('../good', join(root, 'served/links/setup/good'));
    const commit = server.commitAll('links');
    const path = repositories.path(await repositories.fetch(repository('links'), never));
    expect(path).to.equal(repositories.path(commit));
    expect(await readFile(join(path, 'setup/good/__manifest__.py'), 'utf8')).to.equal('{}');
  });

  it('fetches no submodule and runs no hook or filter of the repository', async () => {
    const pwned = join(root, 'pwned');
    await server.commit('sub', MODULE);
    await server.commit('addons', {
      ...MODULE,
      '.gitattributes': '* filter=evil\n',
      '.gitmodules': `[submodule "sub"]\n\tpath = sub\n\turl = ${server.url('sub')}\n`,
      'hooks/post-checkout': `#!/bin/sh\ntouch ${pwned}\n`,
    });
    const inner = server.git('sub', 'rev-parse', 'HEAD');
    server.git('addons', 'update-index', '--add', '--cacheinfo', `160000,${inner},sub`);
    server.git('addons', 'commit', '--quiet', '--message=x');
    const commit = await repositories.fetch(repository('addons'), never);
    expect(await readdir(join(repositories.path(commit), 'sub'))).to.deep.equal([]);
    expect(existsSync(pwned)).to.equal(false);
  });

  it('removes at the start what an interruption has left, and nothing else', async () => {
    const commit = await server.commit('addons', MODULE);
    await repositories.fetch(repository('addons'), never);
    await mkdir(join(dataDir, 'checkouts/.draft-000000/git'), { recursive: true });
    await repositories.sweep();
    expect(await checkouts()).to.deep.equal([commit]);
  });

  describe('never gives git', () => {
    for (const url of [
      'ext::sh -c touch% PWNED',
      'ext::sh',
      'file:///etc',
      '/etc',
      '../x',
      '--upload-pack=touch PWNED;false',
      '-utouch PWNED;false',
      'ssh://-oProxyCommand=touch%20PWNED/x',
      'git@example.com:x/y.git',
      'git://example.com/x',
      'http://example.com/x',
      'https:///x',
      'https://example.com/x\n--upload-pack=x',
      'https://example.com/x y',
      'https://example.com/x?y=z',
      'https://example.com/$(touch PWNED)',
      'HTTPS://example.com/x',
      ' https://example.com/x',
      `https://example.com/${'x'.repeat(3_000)}`,
      '',
    ])
      it(`the address ${JSON.stringify(url.slice(0, 60))}`, async () => {
        repositories = new Repositories({ dataDir });
        const error = await failure({ ...repository('x'), url });
        expect(error).to.include({ name: 'TerminalError', reason: 'RepositoryInvalid' });
        expect(await checkouts()).to.deep.equal([]);
      });

    for (const url of ['https://me:hunter22@example.com/x', 'https://tokentoken@example.com/x'])
      it('a password, nor repeats it', async () => {
        repositories = new Repositories({ dataDir });
        const error = await failure({ ...repository('x'), url });
        expect(error.message).to.contain('must not contain a user name or a password');
        expect(`${error.message} ${error.detail}`).not.to.match(/hunter22|tokentoken/);
      });

    for (const branch of [
      '--upload-pack=touch PWNED',
      '-x',
      '',
      'a b',
      'a..b',
      'a\nb',
      'a:b',
      '+a',
      'a*',
      '@{-1}',
      'a.lock',
      '/a',
      'a/',
      'a//b',
      '$(id)',
    ])
      it(`the branch ${JSON.stringify(branch)}`, async () => {
        const error = await failure(repository('addons', { branch }));
        expect(error).to.include({ name: 'TerminalError', reason: 'BranchMissing' });
        expect(error.message).not.to.contain('\n');
        expect(server.requests).to.equal(0);
      });
  });
});
