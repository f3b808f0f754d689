import { once } from 'node:events';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Images } from '../../../src/docker/images.ts';
import { ComposeEngine } from '../../../src/engine/compose.ts';
import { DirectoryMarks } from '../../../src/files/directory-mark.ts';
import { InstanceDirs } from '../../../src/files/instance-dir.ts';
import { loadTemplates, type Templates } from '../../../src/files/templates.ts';
import { effectiveState } from '../../../src/instance/decide.ts';
import { databaseName } from '../../../src/instance/name.ts';
import type { DesiredInstance, PortPair } from '../../../src/instance/types.ts';
import { Repositories } from '../../../src/repositories/repositories.ts';
import { FakeDocker } from '../../fakes/docker.ts';
import { anInstance } from '../../support/samples.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { TEMPLATES } from '../files/instances.ts';

export const INSTALL = 'k3x9ab';
/** In milliseconds: longer than the second after which the containers themselves are looked at. */
const ANSWER_TIMEOUT = 1_200;

export const ODOO = 'odoo:19.0';
export const ODOO_ID = `sha256:${'a'.repeat(64)}`;

/** Only root can give files away; whoever runs the tests can own theirs. */
const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

/** Answers in an Odoo's place. */
type Page = (request: IncomingMessage, response: ServerResponse) => void;

/** The Compose engine with a Docker in memory, in a folder of its own, and a web server for the Odoo of every instance. */
export class FakeHost {
  readonly docker = new FakeDocker();
  readonly dirs: InstanceDirs;
  readonly marks: DirectoryMarks;
  readonly engine: ComposeEngine;
  readonly dataDir: string;
  /** Told of each instance that stays with an older image: instance, its image, the template's. */
  readonly keptImages: Array<readonly [number, string, string]> = [];
  readonly #signal = new AbortController().signal;
  /** Both reach Odoo's HTTP port while it has no workers, and Docker's list names them in whatever order. */
  readonly ports: PortPair;

  constructor(folder: string, ports: PortPair, templates: Templates) {
    this.ports = ports;
    this.dataDir = join(folder, 'data');
    this.dirs = new InstanceDirs(this.dataDir);
    this.marks = new DirectoryMarks(this.dataDir, INSTALL);
    this.docker.images.set(ODOO, ODOO_ID).set('postgres:17', `sha256:${'b'.repeat(64)}`);
    this.docker.programs.set('id', () => `uid=${me.uid}(odoo) gid=${me.gid}(odoo)`);
    this.engine = new ComposeEngine({
      install: INSTALL,
      api: this.docker.api,
      docker: this.docker.cli,
      images: new Images(INSTALL, this.docker.api, this.docker.cli),
      templates,
      dirs: this.dirs,
      marks: this.marks,
      repositories: new Repositories({ dataDir: this.dataDir }),
      sharedServer: { socketDir: join(folder, 'postgresql') },
      publishAddress: '127.0.0.1',
      urlPattern: 'https://{id}.example.com:{port}',
      answerTimeoutMs: ANSWER_TIMEOUT,
      onKeptImage: (...told) => this.keptImages.push(told),
    });
  }

  /** An instance whose ports are the web server's. */
  wish(over: Partial<DesiredInstance> = {}): DesiredInstance {
    return anInstance({ ports: this.ports, ...over });
  }

  observe(desired: DesiredInstance) {
    return this.engine.observe(desired, effectiveState(desired, null));
  }

  start(desired: DesiredInstance) {
    return this.engine.start(desired, this.#signal);
  }

  stop(desired: DesiredInstance) {
    return this.engine.stop(desired, this.#signal);
  }

  removeContainers(desired: DesiredInstance) {
    return this.engine.removeContainers(desired, this.#signal);
  }

  purge(desired: DesiredInstance) {
    return this.engine.purge(desired, this.#signal);
  }

  /** Waits for Odoo, then for its login page. @param isUp called between the two */
  async awaitAnswer(
    desired: DesiredInstance,
    signal: AbortSignal = this.#signal,
    isUp: () => Promise<void> = async () => {},
  ): Promise<void> {
    if (!(await this.engine.awaitListening(desired, signal))) return;
    await isUp();
    await this.engine.awaitLogin(desired, signal);
  }

  /** Makes an instance's files, as a first start does, and its data as they are once it has run; starts nothing. */
  async make(desired: DesiredInstance): Promise<void> {
    await this.engine.render({ ...desired, wasReady: false });
    const { filestore, pgdata } = this.dirs.paths(desired.id);
    await mkdir(join(filestore, databaseName(INSTALL, desired.id), '00'), { recursive: true });
    if (desired.templateCode === 'odoo-own-db') await writeFile(join(pgdata, 'PG_VERSION'), '17\n');
  }

  /** Makes an instance and starts it. */
  async run(desired: DesiredInstance): Promise<void> {
    await this.make(desired);
    await this.start(desired);
  }

  container(id: number, service = 'odoo') {
    return this.docker.container(`ms-${INSTALL}-${id}-${service}`);
  }
}

/** A host for each test of the suite it is called in. @returns it, and what answers for every Odoo on it */
export function fakeHost(): { readonly host: () => FakeHost; answer: Page } {
  const folder = temporaryFolder();
  let host: FakeHost;
  let servers: Server[];
  let templates: Templates;
  const suite = { host: () => host, answer: answersAll };
  beforeEach(async () => {
    suite.answer = answersAll;
    const serve: Page = (request, response) => suite.answer(request, response);
    servers = [createServer(serve), createServer(serve)];
    const [http = 0, longpolling = 0] = await Promise.all(servers.map(portOf));
    templates ??= await loadTemplates(await ownTemplates(folder()));
    host = new FakeHost(folder(), { http, longpolling }, templates);
  });
  afterEach(() => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  });
  return suite;
}

const answersAll: Page = (_, response) => void response.writeHead(200).end();

async function portOf(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

/** The shipped templates, with a user for Postgres that whoever runs the tests may give files to. */
async function ownTemplates(folder: string): Promise<string> {
  const templates = join(folder, 'templates');
  await cp(TEMPLATES, templates, { recursive: true });
  const file = join(templates, 'odoo-own-db', 'template.yaml');
  const text = await readFile(file, 'utf8');
  const user = `postgres_uid: ${me.uid || 999}\npostgres_gid: ${me.gid || 999}\n`;
  await writeFile(file, text.replace(/^postgres_[ug]id: .*\n/gm, '') + user);
  return templates;
}
