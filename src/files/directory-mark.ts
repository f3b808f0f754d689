import { mkdir, readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { z } from 'zod';
import { foreignData } from '../errors.ts';
import { createFile, makeDirectory, readIfThere, replaceFile, unless } from '../host/files.ts';
import { isOwnMark } from '../instance/own-mark.ts';
import type { DesiredInstance, MarkedInstance, Owner } from '../instance/types.ts';
import { instanceDirectory, instancePaths } from './instance-paths.ts';

const markSchema = z.object({
  format: z.literal(1),
  install: z.string(),
  id: z.int().positive(),
  identity: z.uuid(),
  name: z.string(),
  templateCode: z.string(),
  subdomain: z.string().default(''),
  ports: z.object({ http: z.int(), longpolling: z.int() }).nullable(),
  restartCount: z.int(),
  repositories: z.array(
    z.object({ url: z.string(), branch: z.string(), commit: z.string(), isOfPlan: z.boolean() }),
  ),
  soldAs: z.object({ lineId: z.int(), unit: z.int(), madeAt: z.string() }).nullable(),
  isCopy: z.boolean().default(false),
  isSpare: z.boolean().default(false),
});

/**
 * The mark in an instance's directory, `<dataDir>/instances/<id>/identity.json`: to which identity all data in it belongs, its own
 * Postgres included. No container mounts it. Beside the identity it has what Odoo needs to make a lost record again.
 */
export class DirectoryMarks {
  readonly #dataDir: string;
  readonly #install: string;

  constructor(dataDir: string, install: string) {
    this.#dataDir = dataDir;
    this.#install = install;
  }

  async ownerOf(desired: DesiredInstance): Promise<Owner> {
    const text = await this.#text(desired.id);
    if (text !== null) return this.#isOwn(text, desired) ? 'own' : 'foreign';
    const { directory, mark } = this.#paths(desired.id);
    const names = await readdir(directory).catch(unless('ENOENT', []));
    // Only drafts of marks that were being written when the sidecar was killed.
    return names.every((name) => name.startsWith(`${basename(mark)}.`)) ? 'nobody' : 'unmarked';
  }

  /** Marks the directory as this instance's where it has no owner. @throws TerminalError('ForeignData') where it is another's */
  async claim(desired: DesiredInstance): Promise<void> {
    const owner = await this.ownerOf(desired);
    if (owner === 'own') return;
    if (owner !== 'nobody') throw foreignData('directory');
    await this.#write(desired);
  }

  /** Gives the directory this instance's mark where it has none. */
  async adopt(desired: DesiredInstance): Promise<void> {
    if ((await this.ownerOf(desired)) === 'unmarked') await this.#write(desired);
  }

  /**
   * Updates the mark of an own directory where anything but the identity has changed.
   * @throws TerminalError('ForeignData') where it has another's, or none
   */
  async renew(desired: DesiredInstance): Promise<void> {
    const { mark } = this.#paths(desired.id);
    const text = this.#textFor(desired);
    const found = await this.#text(desired.id);
    if (found === text) return;
    if (found === null || !this.#isOwn(found, desired)) throw foreignData('directory');
    await replaceFile(mark, text);
  }

  /** The content of a directory's mark; null when there is none that can be read. */
  async read(id: number): Promise<MarkedInstance | null> {
    const text = await this.#text(id);
    return text === null ? null : this.#parse(text);
  }

  /** The numbers of all instances that have a directory. */
  async numbers(): Promise<number[]> {
    const names = await readdir(this.#root).catch(unless('ENOENT', []));
    return names.filter((name) => /^[1-9]\d*$/.test(name)).map(Number);
  }

  get #root(): string {
    return dirname(instanceDirectory(this.#dataDir, 1));
  }

  #paths(id: number) {
    return instancePaths(instanceDirectory(this.#dataDir, id));
  }

  /** When two write at once the first stays; the second finds out whose it is. */
  async #write(desired: DesiredInstance): Promise<void> {
    const { directory, mark } = this.#paths(desired.id);
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    await makeDirectory(directory, 0o700);
    await createFile(mark, this.#textFor(desired));
    if ((await this.ownerOf(desired)) !== 'own') throw foreignData('directory');
  }

  #textFor(desired: DesiredInstance): string {
    const { id, identity, name, ports, restartCount, soldAs, subdomain, templateCode } = desired;
    const repositories = desired.repositories.map(({ id: _, ...repository }) => repository);
    const mark = {
      ...{ format: 1, install: this.#install, id, identity, name, templateCode, subdomain, ports },
      ...{ restartCount, repositories, soldAs },
      ...(desired.copyOf ? { isCopy: true } : {}),
      ...(desired.spare === 'kept' ? { isSpare: true } : {}),
    };
    return `${JSON.stringify(mark, null, 2)}\n`;
  }

  async #text(id: number): Promise<string | null> {
    return readIfThere(this.#paths(id).mark);
  }

  #isOwn(text: string, desired: DesiredInstance): boolean {
    const mark = this.#parse(text);
    return mark !== null && isOwnMark(mark, desired);
  }

  #parse(text: string): MarkedInstance | null {
    try {
      const { format, install, ...marked } = markSchema.parse(JSON.parse(text));
      return install === this.#install ? marked : null;
    } catch {
      return null; // damaged: the owner is unknown
    }
  }
}
