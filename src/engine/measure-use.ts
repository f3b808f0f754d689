import type { Cgroups } from '../docker/cgroups.ts';
import type { DirectoryMarks } from '../files/directory-mark.ts';
import type { Disk } from '../host/disk.ts';
import type { Measure, Measured } from '../interfaces.ts';

/** What each part of the use of an instance is measured by. */
export interface UseSources {
  readonly marks: Pick<DirectoryMarks, 'read'>;
  readonly disk: Pick<Disk, 'occupiedBy'>;
  readonly cgroups: Pick<Cgroups, 'of'>;
  readonly databases: {
    /** Never throws. */
    use(
      id: number,
      hasOwnDatabase: boolean,
    ): Promise<{ readonly bytes: number | null; readonly users: number | null }>;
  };
}

/** Gives what measures an instance's files, database and containers, all at once. */
export function makeMeasure({ cgroups, databases, disk, marks }: UseSources): Measure {
  return async (id, { containers, hasOwnDatabase }): Promise<Measured | null> => {
    const mark = await marks.read(id).catch(() => null);
    if (mark === null) return null;
    const [fileBytes, { bytes, users }, ofContainers] = await Promise.all([
      disk.occupiedBy(id),
      databases.use(id, hasOwnDatabase),
      cgroups.of(containers),
    ]);
    const { identity } = mark;
    const ofDatabase = { databaseBytes: bytes, isDatabaseAFile: hasOwnDatabase, users };
    return { identity, fileBytes, ...ofDatabase, ...ofContainers };
  };
}
