import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { dockerCli } from '../src/docker/docker-cli.ts';
import { type PgLogin, PgTools } from '../src/postgres/pg-tools.ts';
import { images } from './images.ts';
import type { StackContainers } from './stack-containers.ts';

const SOCKET = '/var/run/docker.sock';

/** How many are kept: those of this state of the checkout, and of the one before. */
const KEPT = 4;

/** In the folder of a copy: the database, and its filestore. */
const [DUMP, FILES] = ['database.dump', 'filestore.tar'];

/** A template's database, and the stack that it is of. */
export interface TemplatePlace {
  readonly containers: StackContainers;
  readonly login: PgLogin;
}

/**
 * Copies of template databases with their files, for stacks beside and after each other: what Odoo installs in two minutes of a processor
 * is copied in some seconds.
 */
export class TemplateCopies {
  readonly #dir: string;
  readonly #tools: PgTools;

  /** @param dir absolute; its folder for each is made when needed @param install of the stack that copies */
  constructor(dir: string, install: string) {
    this.#dir = dir;
    this.#tools = new PgTools(install, images.postgres, dockerCli(SOCKET));
  }

  /** Fills an empty database from a template's copy. @returns whether there is one */
  async fill(template: string, { containers, login }: TemplatePlace): Promise<boolean> {
    const folder = join(this.#dir, template);
    if ((await stat(folder).catch(() => undefined)) === undefined) return false;
    await this.#tools.restore(login, join(folder, DUMP), new AbortController().signal);
    await containers.unpackFilestore(login.database, join(folder, FILES));
    return true;
  }

  /** Keeps a copy of a template that was just made; of several at the same time, one. */
  async keep({ containers, login }: TemplatePlace): Promise<void> {
    await mkdir(this.#dir, { recursive: true });
    const unfinished = await mkdtemp(join(this.#dir, 'new-'));
    try {
      await this.#tools.dump(login, join(unfinished, DUMP), new AbortController().signal);
      await containers.packFilestore(login.database, join(unfinished, FILES));
      await rename(unfinished, join(this.#dir, login.database)).catch(() => undefined);
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
    await this.#forgetEarlier();
  }

  async #forgetEarlier(): Promise<void> {
    const folders = (await readdir(this.#dir)).map((name) => join(this.#dir, name));
    const aged = await Promise.all(
      folders.map(async (folder) => ({ folder, at: (await stat(folder)).mtimeMs })),
    );
    aged.sort((one, other) => other.at - one.at);
    for (const { folder } of aged.slice(KEPT)) await rm(folder, { recursive: true, force: true });
  }
}
