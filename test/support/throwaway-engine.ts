import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DockerApi } from '../../src/docker/docker-api.ts';
import { dockerCli } from '../../src/docker/docker-cli.ts';
import { Images } from '../../src/docker/images.ts';
import { networkOf } from '../../src/docker/names.ts';
import { ComposeEngine } from '../../src/engine/compose.ts';
import { DirectoryMarks } from '../../src/files/directory-mark.ts';
import { InstanceDirs } from '../../src/files/instance-dir.ts';
import { loadTemplates } from '../../src/files/templates.ts';
import { databaseName } from '../../src/instance/name.ts';
import type { DesiredInstance, PortPair } from '../../src/instance/types.ts';
import { Repositories } from '../../src/repositories/repositories.ts';
import { freePort } from '../../stack/free-port.ts';
import { run, succeeds } from '../../stack/run.ts';

const SOCKET = '/var/run/docker.sock';

/** Replaces Odoo in tests about containers: answers every page except one, at which it hangs, and ends on SIGTERM. */
const WEB_SERVER = `
import http.server, os, signal, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == '/hang': os.kill(os.getpid(), signal.SIGSTOP)
        self.send_response(200); self.end_headers()
    def log_message(self, *args): pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(('', 8069), Page).serve_forever()
`;

/** The real engine on this host's Docker, with web servers as instances, with a data directory and an install id of its own. */
export interface ThrowawayEngine {
  readonly install: string;
  readonly engine: ComposeEngine;
  readonly dirs: InstanceDirs;
  readonly api: DockerApi;
  /** Makes the files of an instance that has run, and starts it. */
  readonly startNew: (desired: DesiredInstance) => Promise<void>;
  /** Runs the Docker CLI. @returns its stdout */
  readonly docker: (...args: string[]) => Promise<string>;
  /** Removes all containers and networks of the install. */
  readonly remove: () => Promise<void>;
}

/** @param options `program` in Python, run as each instance's main process; `image` of the template instead of its own */
export async function throwawayEngine(
  install: string,
  folder: string,
  { program = WEB_SERVER, image }: { readonly program?: string; readonly image?: string } = {},
): Promise<ThrowawayEngine> {
  const templatesDir = await templatesOf(folder, { program, ...(image ? { image } : {}) });
  const dataDir = join(folder, 'data');
  const sharedServer = { socketDir: join(folder, 'postgresql') };
  await mkdir(sharedServer.socketDir);
  const docker = dockerCli(SOCKET);
  const api = new DockerApi(SOCKET);
  const dirs = new InstanceDirs(dataDir);
  const engine = new ComposeEngine({
    install,
    api,
    docker,
    images: new Images(install, api, docker),
    templates: await loadTemplates(templatesDir),
    dirs,
    marks: new DirectoryMarks(dataDir, install),
    repositories: new Repositories({ dataDir, allowedProtocols: ['https'] }),
    sharedServer,
    publishAddress: '127.0.0.1',
    urlPattern: 'http://127.0.0.1:{port}',
    answerTimeoutMs: 60_000,
  });
  const byLabel = ['--filter', `label=microsaas.install=${install}`];
  const idsOf = async (...list: string[]) =>
    (await run('docker', [...list, '--quiet', ...byLabel])).split('\n').filter(Boolean);
  return {
    install,
    engine,
    dirs,
    api,
    startNew: async (desired) => {
      await engine.render({ ...desired, wasReady: false });
      const { filestore } = dirs.paths(desired.id);
      await mkdir(join(filestore, databaseName(install, desired.id), '00'), { recursive: true });
      const { signal } = new AbortController();
      await engine.start(desired, signal);
      await engine.awaitLogin(desired, signal);
    },
    docker: (...args) => run('docker', args),
    remove: async () => {
      const ids = await idsOf('container', 'ls', '--all');
      if (ids.length > 0) await succeeds('docker', ['container', 'rm', '--force', ...ids], 60_000);
      await succeeds('docker', ['network', 'rm', networkOf(install, 1)], 60_000);
    },
  };
}

/**
 * The shipped templates, with another program in Odoo's place.
 * @param options as of throwawayEngine() @returns their folder
 */
export async function templatesOf(
  folder: string,
  options: { readonly program?: string; readonly image?: string },
): Promise<string> {
  const { image, program = WEB_SERVER } = options;
  const templatesDir = join(folder, 'templates');
  await cp('templates', templatesDir, { recursive: true });
  const file = join(templatesDir, 'odoo-service.yml.hbs');
  const text = await readFile(file, 'utf8');
  // The Compose policy refuses line feeds in an argument.
  const line = `exec(bytes.fromhex('${Buffer.from(program).toString('hex')}'))`;
  await writeFile(
    file,
    text
      .replace('stop_grace_period: 30s', 'stop_grace_period: 3s')
      .replace('entrypoint: [odoo]', 'entrypoint: [python3]')
      .replace('command: [--config=/etc/odoo/odoo.conf]', `command: [-c, ${JSON.stringify(line)}]`),
  );
  if (!image) return templatesDir;
  const about = join(templatesDir, 'odoo', 'template.yaml');
  const named = (await readFile(about, 'utf8')).replace(/^image: .*$/m, `image: ${image}`);
  await writeFile(about, named);
  return templatesDir;
}

/** Below those that the kernel gives to whoever asks for any: one of these would be taken again between the look and its use. */
let nextPort = 17_000;

/** Two free ports of the loopback address, which no other call of this process gets. */
export async function freePorts(): Promise<PortPair> {
  const http = await freePort(nextPort);
  const longpolling = await freePort(http + 1);
  nextPort = longpolling + 1;
  return { http, longpolling };
}
