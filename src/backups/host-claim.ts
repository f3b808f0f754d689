import { join } from 'node:path';
import { TerminalError } from '../errors.ts';
import { withFolder } from '../host/trees.ts';
import type { Clock } from '../interfaces.ts';
import type { Restic } from '../restic/restic.ts';
import { type BackupKeys, MANAGER } from './backup-keys.ts';
import { addNote } from './note.ts';
import { claimIn, hostOf, hostTag } from './snapshot-tags.ts';

/** How long an answer of the repository holds, in milliseconds: a night's work asks before each write. */
const HOLDS_MS = 5 * 60_000;

export interface HostClaimOptions {
  /** This host's id. */
  readonly host: string;
  /** For a moment, a folder of the sidecar's own in it. */
  readonly folder: string;
  readonly keys: BackupKeys;
  readonly restic: Restic;
  readonly now: Clock;
  /** Is called whenever it is found that another host works for this install. */
  readonly onReplaced?: (error: TerminalError) => void;
}

/** The host that works for an install, and since when. */
interface ClaimedBy {
  readonly host: string;
  readonly since: Date;
}

/**
 * Which host works for this install: the one that the newest of some small snapshots in the manager's repository names. They say nothing
 * else, and a host makes one where there is none yet, and when it takes over. Any other host writes in no repository.
 */
export class HostClaim {
  readonly #options: HostClaimOptions;
  /** When it was last found to be this host, in milliseconds since the epoch. */
  #askedAt = 0;

  constructor(options: HostClaimOptions) {
    this.#options = options;
  }

  /** @returns the host that works for this install, by its repository; null: none has ever said so */
  async claimedBy(signal: AbortSignal): Promise<ClaimedBy | null> {
    const { keys, restic } = this.#options;
    if (!(await keys.has(MANAGER))) return null;
    const snapshots = await restic.snapshots(keys.repositoryOf(MANAGER), signal);
    const claim = claimIn(snapshots);
    return claim ? { host: hostOf(claim), since: claim.time } : null;
  }

  /** @returns TerminalError('HostReplaced') where another host has taken over; null: it is this one, or none */
  async replaced(signal: AbortSignal): Promise<TerminalError | null> {
    const claimed = await this.claimedBy(signal);
    if (!claimed || claimed.host === this.#options.host) return null;
    const { host, since } = claimed;
    const message = `another host (${host}) works for this install since ${since.toISOString()}: this one writes no backups, and its sidecar stops the instances here and does nothing else, until somebody says here: microsaas take-over`;
    return new TerminalError('HostReplaced', message, { detail: host });
  }

  /**
   * To be called before anything is written in any repository.
   * @throws TerminalError('HostReplaced') where another host has taken over
   */
  async require(signal: AbortSignal): Promise<void> {
    if (Math.abs(this.#options.now().getTime() - this.#askedAt) >= HOLDS_MS)
      await this.requireStill(signal);
  }

  /** The same, and the repository is asked whatever it has answered before: for what took long. */
  async requireStill(signal: AbortSignal): Promise<void> {
    const { now, onReplaced } = this.#options;
    const at = now().getTime();
    const replaced = await this.replaced(signal);
    if (replaced) {
      onReplaced?.(replaced);
      throw replaced;
    }
    this.#askedAt = at;
  }

  /** Says that this host works for the install. Without a repository of the manager, it is made. */
  async claim(signal: AbortSignal): Promise<void> {
    const { folder, host, keys, restic } = this.#options;
    if (!(await keys.has(MANAGER)))
      await keys.make(MANAGER, (repository) => restic.init(repository, signal));
    await withFolder(join(folder, 'claim'), signal, async (place) => {
      const note = { name: 'host', text: `${host}\n`, tags: [hostTag(host)] };
      await addNote(restic, keys.repositoryOf(MANAGER), place, note, signal);
    });
  }
}
