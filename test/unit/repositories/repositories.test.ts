import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Repositories, type RepositoriesOptions } from '../../../src/repositories/repositories.ts';
import { GitServer, TOKEN } from './git-server.ts';

const MODULE = { 'good/__manifest__.py': '{}', 'good/__init__.py': '' };

describe('repositories', function () {
  this.timeout(20_000); // some processes each, and slow machines
  let root: string;
  let dataDir: string;
  let server: GitServer;
  let repositories: Repositories;
  const never = new AbortController().signal;

  /** Repositories that may be fetched from the server on this machine. */
  const local = (more: Partial<RepositoriesOptions> = {}) =>
    new Repositories({
      ...{ dataDir, allowedProtocols: ['http'], privateHosts: ['127.0.0.1'], ...more },
    });

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'microsaas-git-'));
    dataDir = join(root, 'data');
    await mkdir(dataDir);
    server = new GitServer(join(root, 'served'));
    await server.start();
    repositories = local({ maxMegabytes: 1 });
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
    isOfPlan: false,
    ...more,
  });
  const fetch = async (repo: ReturnType<typeof repository>) =>
    (await repositories.fetch(repo, never)).commit;
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
    expect(await fetch(repo)).to.equal(commit);
    expect(await repositories.has({ ...repo, commit })).to.equal(true);
    const path = repositories.path(commit);
    expect(await readdir(path)).to.deep.equal(['good']);
    expect((await lstat(join(path, 'good/__manifest__.py'))).mode & 0o777).to.equal(0o444);
    expect(await fetch(repo), 'again').to.equal(commit);
    const [one, two] = await Promise.all([0, 1].map(() => fetch(repo)));
    expect([one, two]).to.deep.equal([commit, commit]);
    expect(await checkouts()).to.deep.equal([commit]);
  });

  it('contains the compiled files, read-only, and compiles once', async () => {
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

  it('serves two concurrent fetches of the same commit', async () => {
    const commit = await server.commit('addons', MODULE);
    const both = [0, 1].map(() => fetch(repository('addons')));
    expect(await Promise.all(both)).to.deep.equal([commit, commit]);
    expect(await checkouts()).to.deep.equal([commit]);
  });

  it('keeps the recorded commit when the branch has moved on, without contacting the server', async () => {
    const commit = await server.commit('addons', MODULE);
    const newer = await server.commit('addons', { 'good/__init__.py': '# newer' });
    expect(await fetch(repository('addons', { commit }))).to.equal(commit);
    const before = server.requests;
    expect(await fetch(repository('addons', { commit }))).to.equal(commit);
    expect(server.requests).to.equal(before);
    expect(await fetch(repository('addons'))).to.equal(newer);
  });

  it('takes the default branch where none is named, a branch before a tag, a tag, and a full commit id', async () => {
    const first = await server.commit('addons', MODULE);
    server.git('addons', 'tag', '--annotate', '--message=x', 'v1');
    const second = await server.commit('addons', { 'good/__init__.py': '# 2' });
    server.git('addons', 'tag', 'light');
    server.git('addons', 'branch', 'v2', first);
    server.git('addons', 'tag', 'v2');
    const newest = await server.commit('addons', { 'good/__init__.py': '# 3' });
    const commits = { '': newest, '19.0': newest, v1: first, light: second, v2: first };
    for (const [branch, commit] of Object.entries(commits))
      expect(await fetch(repository('addons', { branch })), branch).to.equal(commit);
    expect(await fetch(repository('addons', { branch: second })), 'a commit').to.equal(second);
  });

  it('does not match refs with the same ending as the branch', async () => {
    await server.commit('addons', MODULE);
    server.git('addons', 'branch', 'x/refs/heads/18.0');
    const error = await failure(repository('addons', { branch: '18.0' }));
    expect(error).to.include({ name: 'TerminalError', reason: 'BranchMissing' });
    expect(error.message).to.equal(
      `The repository ${server.url('addons')} has neither a branch nor a tag "18.0".`,
    );
    expect(await checkouts()).to.deep.equal([]);
  });

  it('reports a repository without a commit as empty', async () => {
    await mkdir(join(root, 'served/nothing'), { recursive: true });
    server.git('nothing', 'init', '--quiet');
    const error = await failure(repository('nothing', { branch: '' }));
    expect(error).to.include({ reason: 'RepositoryEmpty' });
    expect(error.message).to.contain('is empty');
  });

  it('follows no redirection', async () => {
    await server.commit('addons', MODULE);
    const error = await failure(repository('moved'));
    expect(error).to.include({ name: 'TerminalError', reason: 'RepositoryMoved' });
    expect(error.message).to.contain('has moved: enter its new address');
  });

  describe('with a token', () => {
    const withToken = async (mode: number, text: string, url = server.url('private')) => {
      const tokenFile = join(root, 'token');
      await writeFile(tokenFile, text, { mode });
      repositories = local({ credentials: [{ url, user: 'git', tokenFile }] });
    };

    it('fetches a private repository', async () => {
      const commit = await server.commit('private', MODULE);
      await withToken(0o600, `${TOKEN}\n`);
      expect(await fetch(repository('private'))).to.equal(commit);
      expect(await checkouts()).to.deep.equal([commit]);
    });

    it('keeps it out of arguments and environment while git runs', async () => {
      await withToken(0o600, TOKEN, server.url('silent'));
      const stop = new AbortController();
      const asked = server.nextRequest();
      const fetching = repositories.fetch(repository('silent'), stop.signal).catch(() => {});
      await asked;
      const said = await ofProcesses(['cmdline', 'environ']);
      stop.abort();
      await fetching;
      expect(said, 'git was running').to.contain('ls-remote').and.to.contain('GIT_CONFIG_GLOBAL');
      expect(said).not.to.contain(TOKEN);
      expect(said).not.to.contain(Buffer.from(`git:${TOKEN}`).toString('base64'));
    });

    it('does not use it for another URL, also one with the same beginning', async () => {
      await server.commit('private-too', MODULE);
      await withToken(0o600, TOKEN);
      expect(await failure(repository('private-too'))).to.include({
        reason: 'RepositoryForbidden',
      });
    });

    for (const [what, mode, text, found] of [
      ['that is wrong', 0o600, 'wrong-token', 'no valid token'],
      ['that others can read', 0o644, TOKEN, 'chmod 600'],
      ['that is empty', 0o600, '', 'found it empty'],
    ] as const)
      it(`reports one ${what}`, async () => {
        await server.commit('private', MODULE);
        await withToken(mode, text);
        expect((await failure(repository('private'))).message).to.contain(found);
        expect(await checkouts()).to.deep.equal([]);
      });
  });

  describe('on the sidecar’s own machine or network', () => {
    for (const host of [
      '127.0.0.1',
      'localhost',
      '2130706433',
      '0x7f.1',
      '10.1.2.3',
      '169.254.169.254',
    ])
      it(`is refused: ${host}`, async () => {
        repositories = new Repositories({ dataDir, allowedProtocols: ['http'] });
        const { port } = new URL(server.url('addons'));
        const url = `http://${host}:${port}/addons`;
        const error = await failure({ ...repository('addons'), url });
        expect(error).to.include({ name: 'TerminalError', reason: 'RepositoryPrivateHost' });
        expect(error.message).to.contain('lies on a private network');
        expect(server.requests).to.equal(0);
      });
  });

  for (const [name, kind, reason] of [
    ['private', 'TerminalError', 'RepositoryForbidden'],
    ['missing', 'TerminalError', 'RepositoryForbidden'],
  ] as const)
    it(`reports a ${name} repository as ${reason}`, async () => {
      expect(await failure(repository(name))).to.include({ name: kind, reason });
    });

  it('reports a dead server as RepositoryUnreachable, to be retried', async () => {
    const repo = repository('addons');
    await server.stop();
    expect(await failure(repo)).to.include({
      name: 'RetryableError',
      reason: 'RepositoryUnreachable',
    });
  });

  it('times out on an unresponsive server', async () => {
    repositories = local({ timeoutMs: 300 });
    expect(await failure(repository('silent'))).to.have.property('reason', 'RepositoryUnreachable');
    expect(await checkouts()).to.deep.equal([]);
  });

  it('stops when its signal aborts, with the signal’s reason', async () => {
    const stop = new AbortController();
    const asked = server.nextRequest();
    const fetching = repositories.fetch(repository('silent'), stop.signal).catch((error) => error);
    await asked;
    stop.abort();
    expect(await fetching).to.have.property('name', 'AbortError');
    expect(await checkouts()).to.deep.equal([]);
  });

  it('reports a missing and an invalid recorded commit', async () => {
    await server.commit('addons', MODULE);
    const missing = '0'.repeat(39).concat('1');
    for (const commit of [missing, 'HEAD', '../../etc', '--help'])
      expect(await failure(repository('addons', { commit }))).to.include({
        name: 'TerminalError',
        reason: commit === missing ? 'CommitMissing' : 'CommitInvalid',
      });
  });

  it('refuses what is too large, downloaded or unpacked', async () => {
    await server.commit('large', { ...MODULE, large: 'x'.repeat(1024 * 1024) });
    const error = await failure(repository('large'));
    expect(error).to.include({ name: 'TerminalError', reason: 'RepositoryTooLarge' });
    expect(error.message).to.contain('is larger than 1 MB');
  });

  for (const [what, files, layout] of [
    ['modules at the top', MODULE, { folders: [''] }],
    [
      'modules in folders',
      { 'a/b/x/__manifest__.py': '', 'c/y/__manifest__.py': '' },
      { folders: ['a/b', 'c'] },
    ],
    ['both', { ...MODULE, 'extra/x/__manifest__.py': '' }, { folders: ['', 'extra'] }],
    [
      'a module inside a module',
      { 'good/__manifest__.py': '', 'good/tests/x/__manifest__.py': '' },
      { folders: [''] },
    ],
    [
      'a folder whose name would end the path',
      { ...MODULE, 'a,etc/x/__manifest__.py': '' },
      { folders: [''] },
    ],
  ] as const)
    it(`finds ${what}`, async () => {
      await server.commit('addons', files);
      const commit = await fetch(repository('addons'));
      const checkout = await repositories.checkout(repository('addons', { commit }));
      expect(checkout).to.deep.equal({
        path: repositories.path(commit),
        moduleName: '',
        ...layout,
      });
    });

  it('accepts a repository that is a module, named by its URL', async () => {
    await server.commit('library', { '__manifest__.py': '{}', 'models/__init__.py': '' });
    const commit = await fetch(repository('library'));
    const checkout = await repositories.checkout(repository('library', { commit }));
    expect(checkout).to.include({ moduleName: 'library' }).and.to.have.property('folders').empty;
    await server.commit('not-a-name', { '__manifest__.py': '{}' });
    expect((await failure(repository('not-a-name'))).message).to.contain("module's name");
  });

  it('explains a repository that has only submodules', async () => {
    const inner = await server.commit('sub', MODULE);
    await server.commit('addons', { 'README.md': 'x' });
    server.git('addons', 'update-index', '--add', '--cacheinfo', `160000,${inner},vendor/sub`);
    server.git('addons', 'commit', '--quiet', '--message=x');
    const error = await failure(repository('addons'));
    expect(error).to.include({ reason: 'RepositoryOnlySubmodules' });
    expect(error.message).to.contain('git submodules').and.to.contain(': vendor/sub');
    expect(error.detail).to.equal(`${server.url('addons')}\nvendor/sub`);
  });

  it('refuses a repository without a module', async () => {
    await server.commit('empty', { 'README.md': 'x' });
    expect((await failure(repository('empty'))).message).to.contain('no Odoo module');
  });

  for (const target of ['/etc/passwd', '/nowhere', '../../../..', 'good/../../x', '../nowhere'])
    it(`refuses a link to ${target}`, async () => {
      await server.commit('links', MODULE);
      await symlink(target, join(root, 'served/links/link'));
      server.commitAll('links');
      const error = await failure(repository('links'));
      expect(error).to.include({ name: 'TerminalError', reason: 'RepositoryLinksOut' });
      expect(error.message).to.contain('leads out of it');
      expect(await checkouts()).to.deep.equal([]);
    });

  it('keeps a link that stays inside, also a dangling one', async () => {
    await server.commit('links', { ...MODULE, 'setup/x': '' });
    await symlink('../gone', join(root, 'served/links/setup/gone'));
    await symlink('../good', join(root, 'served/links/setup/good'));
    const commit = server.commitAll('links');
    const path = repositories.path(await fetch(repository('links')));
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
    const { commit, remarks } = await repositories.fetch(repository('addons'), never);
    expect(remarks).to.deep.equal([
      { reason: 'SubmodulesLeftOut', detail: `${server.url('addons')}\nsub` },
    ]);
    expect(await readdir(join(repositories.path(commit), 'sub'))).to.deep.equal([]);
    expect(existsSync(pwned)).to.equal(false);
  });

  it('removes leftovers of an interruption at the start, and nothing else', async () => {
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
        expect(error).to.include({ name: 'TerminalError', reason: 'RepositoryAddressInvalid' });
        expect(await checkouts()).to.deep.equal([]);
      });

    for (const url of ['https://me:hunter22@example.com/x', 'https://tokentoken@example.com/x'])
      it('a password, nor repeats it in an error', async () => {
        repositories = new Repositories({ dataDir });
        const error = await failure({ ...repository('x'), url });
        expect(error.message).to.contain('must not contain a user name or a password');
        expect(`${error.message} ${error.detail}`).not.to.match(/hunter22|tokentoken/);
      });

    for (const branch of [
      '--upload-pack=touch PWNED',
      '-x',
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

/** What /proc shows of every process there is. */
async function ofProcesses(files: readonly string[]): Promise<string> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const paths = ids.flatMap((id) => files.map((file) => `/proc/${id}/${file}`));
  const texts = paths.map((path) => readFile(path, 'latin1').catch(() => '')); // it has ended
  return (await Promise.all(texts)).join('\n');
}
