import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';

const ENV = {
  PATH: process.env['PATH'] ?? '',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Test',
  GIT_AUTHOR_EMAIL: 'test@example.com',
  GIT_COMMITTER_NAME: 'Test',
  GIT_COMMITTER_EMAIL: 'test@example.com',
};

/** What opens the repositories whose names begin with `private`. */
export const TOKEN = 'token-of-the-tests';
const TOKEN_HEADER = `Basic ${Buffer.from(`git:${TOKEN}`).toString('base64')}`;

/** Real git repositories behind real HTTP on loopback: git's own CGI program answers. */
export class GitServer {
  /** How many requests have come in. */
  requests = 0;
  readonly #root: string;
  readonly #server: Server;

  constructor(root: string) {
    this.#root = root;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async nextRequest(): Promise<void> {
    await once(this.#server, 'request');
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  url(name: string): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${name}`;
  }

  /** Runs git in a repository and returns what it printed. */
  git(name: string, ...args: string[]): string {
    return execFileSync('git', args, {
      cwd: join(this.#root, name),
      env: ENV,
      encoding: 'utf8',
    }).trim();
  }

  /** Makes a repository with these files on branch 19.0, or a further commit. @returns the commit. */
  async commit(name: string, files: Record<string, string>): Promise<string> {
    const directory = join(this.#root, name);
    await mkdir(directory, { recursive: true });
    if (!existsSync(join(directory, '.git')))
      this.git(name, 'init', '--quiet', '--initial-branch=19.0');
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(directory, path)), { recursive: true });
      await writeFile(join(directory, path), text);
    }
    return this.commitAll(name);
  }

  commitAll(name: string): string {
    this.git(name, 'add', '--all');
    this.git(name, 'commit', '--quiet', '--message=x');
    return this.git(name, 'rev-parse', 'HEAD');
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.requests += 1;
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
    const isPrivate = pathname.startsWith('/private');
    if (isPrivate && request.headers.authorization !== TOKEN_HEADER) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      return;
    }
    if (pathname.startsWith('/silent')) return;
    if (pathname.startsWith('/moved')) {
      response.writeHead(301, { location: String(request.url).replace('/moved', '/addons') }).end();
      return;
    }
    const cgi = spawn('git', ['http-backend'], {
      env: {
        ...ENV,
        GIT_PROJECT_ROOT: this.#root,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        PATH_INFO: pathname.replace(/^\/([^/]+)/, '/$1/.git'),
        QUERY_STRING: searchParams.toString(),
        REQUEST_METHOD: request.method ?? '',
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: String(request.headers['content-encoding'] ?? ''),
      },
    });
    cgi.stdin.on('error', () => {}); // git may be done before it has read everything
    request.pipe(cgi.stdin);
    const chunks: Buffer[] = [];
    cgi.stdout.on('data', (chunk) => chunks.push(chunk));
    cgi.on('close', () => {
      const said = Buffer.concat(chunks);
      const end = said.indexOf('\r\n\r\n');
      for (const line of said.subarray(0, end).toString().split('\r\n')) {
        const [name = '', value = ''] = line.split(': ');
        if (name === 'Status') response.statusCode = Number.parseInt(value, 10);
        else response.setHeader(name, value);
      }
      response.end(said.subarray(end + 4));
    });
  }
}
