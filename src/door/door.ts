import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { containerLogs, doorRun } from '../docker/commands.ts';
import type { Container, DockerApi } from '../docker/docker-api.ts';
import type { DockerCli } from '../docker/docker-cli.ts';
import { LABELS } from '../docker/labels.ts';
import { DoorError } from '../errors.ts';
import { makeDirectory, readIfThere, replaceFile } from '../host/files.ts';
import { tailLines } from '../host/log-tail.ts';
import type { Door, DoorRoute, LoggedRequest } from '../interfaces.ts';
import { loggedRequest } from './access-log.ts';
import { CaddyAdmin } from './caddy-admin.ts';
import { type CaddySettings, caddyConfig, INSIDE, RUN_DIRECTORY } from './caddy-config.ts';
import { errorsIn, type LoggedError } from './error-log.ts';

/** How long a container that was just started may take until its admin API answers, in milliseconds, and how often it is tried. */
const START_MS = 15_000;
const START_INTERVAL_MS = 100;

/** How much of Caddy's log is searched for errors: each refused configuration and each refused certificate is a line or two. */
const MAX_LOG_LINES = 2_000;

/** How long to wait before the stream of events is opened again, in milliseconds. */
const RECONNECT_DELAY_MS = 1_000;

export interface CaddyDoorOptions {
  readonly install: string;
  readonly dataDir: string;
  readonly api: Pick<DockerApi, 'containers' | 'events' | 'remove'>;
  readonly docker: DockerCli;
  /** By default START_MS. */
  readonly startMs?: number;
  /** Files are paths of this host. */
  readonly settings: Omit<CaddySettings, 'wildcard' | 'acme'> & {
    readonly image: string;
    /** '' where each name has a certificate of its own. */
    readonly certificateFile: string;
    readonly keyFile: string;
    readonly acme: {
      readonly directory: string;
      readonly email: string;
      readonly rootFile: string;
    };
  };
}

/** Caddy in a container of its own, `ms-<install>-door`, made and healed by the sidecar (ADR 13). */
export class CaddyDoor implements Door {
  readonly #options: CaddyDoorOptions;
  readonly #admin: CaddyAdmin;
  /** What is under way; calls take turns, since two would make one container. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: CaddyDoorOptions) {
    this.#options = options;
    this.#admin = new CaddyAdmin(this.#onHost(INSIDE.admin));
  }

  ensure(routes: readonly DoorRoute[]): Promise<void> {
    return this.#inTurn(() => this.#ensure(routes));
  }

  ensureRunning(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#makeDirectories();
      await this.#ensureAnswering((await this.#settings()).image);
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {}); // told to its own caller
    return done;
  }

  async #ensure(routes: readonly DoorRoute[]): Promise<void> {
    await this.#makeDirectories();
    const settings = await this.#settings();
    const wanted = caddyConfig(settings, routes);
    const loaded = await this.#ensureAnswering(settings.image);
    // Caddy keeps the JSON it was given, so what was written here compares equal.
    if (!isDeepStrictEqual(loaded, JSON.parse(JSON.stringify(wanted))))
      await this.#admin.load(wanted);
  }

  /**
   * The path of the unix socket on which the sidecar serves pages. Nothing is there any more when this returns: a killed sidecar
   * leaves its socket behind.
   */
  async pagesSocket(): Promise<string> {
    await this.#makeDirectories();
    const path = this.#onHost(INSIDE.pages);
    await rm(path, { force: true });
    return path;
  }

  async watch(onEnded: () => void, signal: AbortSignal): Promise<void> {
    const { api, install } = this.#options;
    const label = `${LABELS.install}=${install}`;
    const happened = (labels: Readonly<Record<string, string>>) => {
      if (labels[LABELS.part] === 'door') onEnded();
    };
    while (!signal.aborted) {
      await api.events(label, onEnded, happened, signal).catch(() => {}); // Docker is away: after reconnecting everything is asked
      await sleep(RECONNECT_DELAY_MS, undefined, { signal }).catch(() => {});
    }
  }

  async requests(onRequest: (request: LoggedRequest) => void, signal: AbortSignal): Promise<void> {
    const onLine = (line: string) => {
      const request = loggedRequest(line);
      if (request) onRequest(request);
    };
    await tailLines(this.#onHost(INSIDE.accessLog), { onLine }, signal);
  }

  /** What it has logged lately about configurations and certificates that were refused, the oldest first. */
  async errors(): Promise<LoggedError[]> {
    return errorsIn(await this.#logged(MAX_LOG_LINES));
  }

  get #runDirectory(): string {
    return join(this.#options.dataDir, 'door', 'run');
  }

  get #dataDirectory(): string {
    return join(this.#options.dataDir, 'door', 'data');
  }

  /** Where this host has what the container has in the shared directory. */
  #onHost(inside: string): string {
    return join(this.#runDirectory, basename(inside));
  }

  async #makeDirectories(): Promise<void> {
    await makeDirectory(join(this.#options.dataDir, 'door'), 0o700);
    await makeDirectory(this.#runDirectory, 0o700);
    await makeDirectory(this.#dataDirectory, 0o700);
  }

  /** The settings in the container's terms. Certificates are copied into its directory under the hash of their content: a renewed one is another configuration. */
  async #settings(): Promise<CaddySettings & { readonly image: string }> {
    const { acme, certificateFile, keyFile, ...rest } = this.#options.settings;
    const { directory, email, rootFile } = acme;
    const root = rootFile ? await this.#share(rootFile) : '';
    const wildcard =
      certificateFile && keyFile
        ? { certificate: await this.#share(certificateFile), key: await this.#share(keyFile) }
        : null;
    return { ...rest, wildcard, acme: { directory, email, root } };
  }

  async #share(file: string): Promise<string> {
    const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      throw new DoorError(`${file}: expected a readable PEM file, found ${cause.code}`, { cause });
    });
    const name = `${createHash('sha256').update(text).digest('hex').slice(0, 16)}.pem`;
    const path = join(this.#runDirectory, name);
    if ((await readIfThere(path)) !== text) await replaceFile(path, text);
    return `${RUN_DIRECTORY}/${name}`;
  }

  /** @returns what Caddy has loaded @throws DoorError where it does not answer, made anew or not */
  async #ensureAnswering(image: string): Promise<unknown> {
    const isNew = await this.#ensureContainer(image);
    let loaded = await this.#awaitConfig();
    if (loaded === undefined && !isNew) {
      // It runs and cannot be told anything: it hangs, or its socket was removed.
      await this.#removeContainer();
      await this.#ensureContainer(image);
      loaded = await this.#awaitConfig();
    }
    if (loaded === undefined) throw new DoorError(`The door does not start: ${await this.#log()}`);
    return loaded;
  }

  /** Makes the container where it does not run, and again where it was made differently. @returns whether it was made */
  async #ensureContainer(image: string): Promise<boolean> {
    const { docker, install } = this.#options;
    const name = `ms-${install}-door`;
    const place = { runDirectory: this.#runDirectory, dataDirectory: this.#dataDirectory };
    const parts = { install, name, image, ...place };
    const plan = doorRun({ ...parts, digest: '' });
    const digest = createHash('sha256').update(JSON.stringify(plan)).digest('hex').slice(0, 16);
    const found = await this.#container();
    if (found?.state === 'running' && found.labels[LABELS.digest] === digest) return false;
    await this.#removeContainer();
    await rm(this.#onHost(INSIDE.admin), { force: true });
    // Before it is told anything else: no port is open, and nobody but the sidecar can tell it.
    const begin = { admin: { listen: `unix/${INSIDE.admin}|0600` } };
    await replaceFile(join(this.#runDirectory, 'begin.json'), JSON.stringify(begin));
    await this.#dropDamagedAutosave();
    await docker(doorRun({ ...parts, digest }));
    return true;
  }

  /** Caddy resumes what it has saved, and ends at once where that was cut short, by a full disk or a power cut. */
  async #dropDamagedAutosave(): Promise<void> {
    const path = join(this.#dataDirectory, 'config', 'caddy', 'autosave.json');
    const text = await readIfThere(path);
    if (text === null) return;
    try {
      JSON.parse(text);
    } catch {
      await rm(path, { force: true });
    }
  }

  async #removeContainer(): Promise<void> {
    const found = await this.#container();
    if (found) await this.#options.api.remove(found.id);
  }

  async #container(): Promise<Container | undefined> {
    const { api, install } = this.#options;
    return (await api.containers([`${LABELS.install}=${install}`, `${LABELS.part}=door`]))[0];
  }

  /** What Caddy has loaded; undefined when it has not answered in time. */
  async #awaitConfig(): Promise<unknown> {
    const until = Date.now() + (this.#options.startMs ?? START_MS);
    for (;;) {
      const config = await this.#admin.config();
      if (config !== undefined || Date.now() > until) return config;
      await sleep(START_INTERVAL_MS);
    }
  }

  async #log(): Promise<string> {
    return (await this.#logged(5)) || 'docker logs says more';
  }

  /** The last lines of its container's log, which Caddy writes to stderr; why there are none where there are none. */
  #logged(tail: number): Promise<string> {
    const { docker, install } = this.#options;
    const command = containerLogs(`ms-${install}-door`, { tail, follow: false });
    return docker(command, { mixed: true }).catch(String);
  }
}
