/** What one instance takes of the machine and of its plan, as measured once. Null: nobody knows. */
export interface InstanceUse {
  readonly id: number;
  /** Of the mark beside the data that were measured: a number may have been another instance's. */
  readonly identity: string;
  readonly at: Date;
  /** Files and database. */
  readonly diskMb: number | null;
  /** The database alone. */
  readonly databaseMb: number | null;
  /** People who may work in it: Odoo's internal users that are not archived. */
  readonly users: number | null;
  readonly memoryMb: number | null;
  /** Processors that were busy with it, on average since the last time. */
  readonly cpus: number | null;
  /** How many requests came to its names since the last time. */
  readonly requests: number | null;
}

/** What there is too little of for one more instance. */
export type ShortOf = 'memory' | 'disk';

/** The machine that all instances share. */
export interface HostUse {
  readonly memoryMb: number;
  /** What programs can still get. */
  readonly freeMemoryMb: number;
  /** The disk with the customers' data. */
  readonly diskMb: number;
  readonly freeDiskMb: number;
  readonly shortOf: readonly ShortOf[];
}
