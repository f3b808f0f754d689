import { Readable } from 'node:stream';
import { TerminalError } from '../../src/errors.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import type { ExportProgress, Exports } from '../../src/interfaces.ts';

/** Exports in memory: of each instance the one of the backup that was asked for last. */
export class FakeExports implements Exports {
  readonly snapshots = new Map<number, string>();
  /** Backups that cannot be read. */
  readonly damaged = new Set<string>();
  /** How often one was written from its beginning to its end. */
  written = 0;
  /** How often the old ones were looked for. */
  drops = 0;

  async write(
    { id }: DesiredInstance,
    snapshot: string,
    progress: (reason: ExportProgress) => Promise<void>,
  ): Promise<void> {
    if (await this.has(id, snapshot)) return;
    await progress('FetchingBackup');
    if (this.damaged.has(snapshot)) throw new TerminalError('BackupDamaged', 'damaged');
    await progress('WritingExport');
    this.snapshots.set(id, snapshot);
    this.written += 1;
  }

  async has(id: number, snapshot: string): Promise<boolean> {
    return this.snapshots.get(id) === snapshot;
  }

  async open(id: number, snapshot: string) {
    if (!(await this.has(id, snapshot))) return null;
    return { bytes: snapshot.length, content: Readable.from([snapshot]) };
  }

  async dropOld(): Promise<void> {
    this.drops += 1;
  }
}
