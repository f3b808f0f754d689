import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type OdooUpdate, REHEARSAL_MS, type Versions } from '../databases/odoo-update.ts';
import type { Replacements } from '../databases/replacement.ts';
import { RetryableError, TerminalError } from '../errors.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import type { Disk } from '../host/disk.ts';
import {
  isThere,
  makeDirectory,
  readIfThere,
  replaceFile,
  type UnixUser,
  unless,
} from '../host/files.ts';
import { linkTree, removeTree } from '../host/trees.ts';
import { projectName } from '../instance/name.ts';
import type { ProgressReason } from '../instance/reasons.ts';
import type { DesiredInstance, FetchedCommit, Job, Pins } from '../instance/types.ts';
import type { Updates as UpdatesInterface } from '../interfaces.ts';
import { filestoreOf, partsOf, readManifest } from './backup-manifest.ts';
import type { BackupStore } from './backup-store.ts';
import { pinsFile, swapPaths } from './restores.ts';

export interface UpdatesOptions {
  readonly install: string;
  readonly dirs: InstanceDirs;
  readonly disk: Pick<Disk, 'checkRoom'>;
  readonly replacements: Replacements;
  readonly odoo: Pick<OdooUpdate, 'changedModules' | 'end' | 'errorsBefore' | 'run'>;
  readonly store: Pick<BackupStore, 'inRestored' | 'inProofServer'>;
  /** Whether there is memory for one more Odoo. */
  readonly hasMemory: () => boolean;
  /** The pin of the image that new instances of a template get. */
  readonly newestImage: (templateCode: string) => Promise<string>;
  /** The pin of the image that an instance runs, also where Odoo does not have it yet. */
  readonly presentImage: (desired: DesiredInstance) => Promise<string>;
  /** The id of a pinned image; null when it is not here. */
  readonly localPin: (imageDigest: string) => Promise<string | null>;
  /** The user that Odoo runs as in an image. */
  readonly userOf: (imageDigest: string) => Promise<UnixUser>;
  /** Fetches an instance's repositories, to work with the image that it is pinned to. Without a commit it is what the branch is now. */
  readonly fetch: (
    desired: DesiredInstance,
    signal: AbortSignal,
  ) => Promise<readonly FetchedCommit[]>;
}

const pins = z.object({
  imageDigest: z.string(),
  commits: z.array(z.object({ id: z.int(), commit: z.string() })).readonly(),
  givenModules: z.array(z.string()).readonly().optional(),
});
/** What `pins.json` has: the versions that go with the data beside it, and those that the other data have. */
const pinsSchema = z.object({
  ...{ mine: pins, others: pins, modules: z.array(z.string()) },
  newModules: z.array(z.string()).default([]),
  knownErrors: z.array(z.string()),
});
type StoredPins = z.infer<typeof pinsSchema>;

/**
 * Newer versions for an instance. Its data are never updated themselves: a copy is, under another name, and takes their place as the data of
 * a backup do (restores.ts). Until then nothing has changed, so there is nothing to roll back; afterwards the old data are kept a while.
 *
 * `restore/pins.json` has the versions that go with what is prepared, and `restore/updated` is there once that is complete.
 */
export class Updates implements UpdatesInterface {
  readonly #options: UpdatesOptions;

  constructor(options: UpdatesOptions) {
    this.#options = options;
  }

  async rehearse(
    desired: DesiredInstance,
    job: Job,
    snapshot: string,
    progress: (reason: ProgressReason) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { fetch, newestImage, odoo, presentImage, store } = this.#options;
    const { prepared } = this.#paths(desired);
    this.#requireMemory();
    await removeTree(prepared, signal);
    await progress('FetchingRepositories');
    const given = desired.givenModules ?? desired.modules;
    const newModules = desired.modules.filter((name) => !given.includes(name));
    const others: Pins = {
      imageDigest: await presentImage(desired),
      commits: commitsOf(desired),
      givenModules: given,
    };
    const imageDigest = await newestImage(desired.templateCode);
    const repositories = desired.repositories.map((one) => ({ ...one, commit: '' }));
    // For the newest image: it is what the commits are to work with, and the present one may be gone.
    const commits = await fetch({ ...desired, imageDigest, repositories }, signal);
    const mine: Pins = { imageDigest, commits, givenModules: [...given, ...newModules] };
    if (newModules.length === 0 && (await this.#areSame(mine, others)))
      throw new TerminalError('NothingToUpdate', 'It runs what is newest already.');
    await this.#requireSameUser(desired, imageDigest);
    const versions = versionsOf(desired, mine);
    const modules = await odoo.changedModules(versionsOf(desired, others), versions, signal);
    await progress('FetchingBackup');
    const tryOut = async (folder: string, bounded: AbortSignal) => {
      const manifest = await readManifest(folder, desired.identity);
      const filestore = await filestoreOf(folder, manifest);
      const { filestores: filestoreDir } = partsOf(folder);
      await progress('Rehearsing');
      return store.inProofServer(desired, folder, bounded, async (cluster, login, both) => {
        await rename(filestore, join(filestoreDir, login.database));
        const { server } = cluster;
        const conf = join(folder, 'odoo.conf');
        const container = this.#container(desired);
        // Nobody waits for it but who has asked, and customers use the processors meanwhile.
        const isLowPriority = true;
        const where = { container, server, login, filestoreDir, conf };
        const run = { ...where, isLowPriority, modules, newModules, signal: both };
        const present = versionsOf(desired, others);
        const known = await odoo.errorsBefore({ ...present, ...run, knownErrors: [] });
        await odoo.run({ ...versions, ...run, knownErrors: known });
        return known;
      });
    };
    const knownErrors = await store.inRestored(
      desired,
      snapshot,
      signal,
      tryOut,
      desired,
      REHEARSAL_MS,
    );
    await this.#write(prepared, { mine, others, modules, newModules, knownErrors });
    await replaceFile(join(prepared, 'job'), `${job.identity}\n`);
  }

  async make(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    const { disk, odoo, replacements, userOf } = this.#options;
    const { complete, filestore, filestoreDir, prepared, present } = this.#paths(desired);
    if (await isThere(complete)) return;
    const stored = await this.#read(prepared);
    if (!stored) throw new Error(`nothing is rehearsed for instance ${desired.id}`);
    const { knownErrors, mine, modules, newModules } = stored;
    this.#requireMemory();
    await disk.checkRoom(2 * (await replacements.bytes(desired)));
    await odoo.end(this.#container(desired));
    const { login, server } = await replacements.copy(desired);
    for (const path of [filestore, filestoreDir]) await removeTree(path, signal);
    await makeDirectory(filestoreDir, 0o700, await userOf(mine.imageDigest));
    await linkTree(present, join(filestoreDir, login.database), signal);
    const where = { server, login, filestoreDir };
    const run = { ...where, isLowPriority: false, modules, newModules, knownErrors, signal };
    const conf = join(prepared, 'odoo.conf');
    const container = this.#container(desired);
    await odoo.run({ ...versionsOf(desired, mine), ...run, conf, container });
    await replacements.completeCopy(desired);
    await rename(join(filestoreDir, login.database), filestore);
    await replaceFile(complete, '');
  }

  async abandon(desired: DesiredInstance): Promise<void> {
    await this.#options.odoo.end(this.#container(desired));
    await this.#options.replacements.dropPrepared(desired);
    await removeTree(this.#paths(desired).prepared);
  }

  async prepareUndo(desired: DesiredInstance, { kind }: Job): Promise<void> {
    const { prepared, replaced } = this.#paths(desired);
    // It is there until carryOut(): what lies beside what is prepared may be an update's that was cut off.
    const kept = await this.#read(replaced);
    if (kept) {
      await this.#write(prepared, { ...kept, mine: kept.others, others: kept.mine });
      return;
    }
    if (kind === 'undo_update')
      throw new TerminalError('NothingToUndo', 'What was there before is not kept any more.');
    await rm(pinsFile(prepared), { force: true });
  }

  async pins(desired: DesiredInstance): Promise<Pins | null> {
    return (await this.#read(this.#paths(desired).prepared))?.mine ?? null;
  }

  /** An update's Odoo takes the memory of one that is started, beside those that run. */
  #requireMemory(): void {
    if (!this.#options.hasMemory())
      throw new RetryableError('NotEnoughMemory', 'no memory is left for an update');
  }

  /** The copy's files are those of now, by hard links: another owner of the one would be another owner of the other. */
  async #requireSameUser(desired: DesiredInstance, imageDigest: string): Promise<void> {
    const files = await stat(this.#paths(desired).present).catch(unless('ENOENT', null));
    const { uid } = await this.#options.userOf(imageDigest);
    if (files === null || files.uid === uid) return;
    const detail = `the newest image runs Odoo as user ${uid}, and the files belong to user ${files.uid}`;
    throw new TerminalError('UpdateFailed', 'Odoo could not write the files.', { detail });
  }

  async #areSame(one: Pins, other: Pins): Promise<boolean> {
    const text = ({ commits }: Pins) =>
      JSON.stringify(commits.map(({ commit, id }) => [id, commit]));
    if (text(one) !== text(other)) return false;
    if (one.imageDigest === other.imageDigest) return true;
    // An image has one pin more from each registry that has it too.
    const { localPin } = this.#options;
    const [id, otherId] = [await localPin(one.imageDigest), await localPin(other.imageDigest)];
    return id !== null && id === otherId;
  }

  async #read(folder: string): Promise<StoredPins | null> {
    const text = await readIfThere(pinsFile(folder));
    return text === null ? null : pinsSchema.parse(JSON.parse(text));
  }

  async #write(folder: string, stored: StoredPins): Promise<void> {
    await mkdir(folder, { mode: 0o700 }).catch(unless('EEXIST'));
    await replaceFile(pinsFile(folder), `${JSON.stringify(stored, null, 2)}\n`);
  }

  #container({ id }: DesiredInstance): string {
    return `${projectName(this.#options.install, id)}-update`;
  }

  #paths(desired: DesiredInstance) {
    const { restoring: prepared, ...others } = swapPaths(desired, this.#options);
    return {
      ...{ ...others, prepared },
      /** Odoo looks in it for a folder called as its database. */
      filestoreDir: join(prepared, 'filestores'),
      filestore: join(prepared, 'filestore'),
      complete: join(prepared, 'updated'),
    };
  }
}

function commitsOf({ repositories }: DesiredInstance): FetchedCommit[] {
  return repositories.map(({ commit, id }) => ({ id, commit }));
}

function versionsOf({ repositories }: DesiredInstance, { commits, imageDigest }: Pins): Versions {
  const commitOf = (id: number) => commits.find((one) => one.id === id)?.commit ?? '';
  return {
    image: imageDigest,
    repositories: repositories.map(({ id, url }) => ({ url, commit: commitOf(id) })),
  };
}
