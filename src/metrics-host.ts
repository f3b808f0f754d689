import { freemem, totalmem } from 'node:os';
import type { Registry } from 'prom-client';
import { addGauge } from './gauges.ts';

/** What is free on the disk with the customers' data. */
export interface FreeSpace {
  readonly bytes: number;
  /** Infinite where the file system does not count them. */
  readonly inodes: number;
  /** 0 … 1 of all bytes. */
  readonly share: number;
}

/** What is left of the machine. */
export function addHostMetrics(registry: Registry, freeSpace: () => Promise<FreeSpace>): void {
  // A disk that does not answer is seen by its missing values, and must not take the other metrics with it.
  const ofDisk = (name: string, help: string, read: (free: FreeSpace) => number) =>
    addGauge(registry, name, help, () => freeSpace().then(read, () => null));
  ofDisk(
    'microsaas_disk_free_bytes',
    "Free on the disk with the customers' data.",
    ({ bytes }) => bytes,
  );
  ofDisk('microsaas_disk_free_ratio', 'The free part of that disk, 0 to 1.', ({ share }) => share);
  ofDisk(
    'microsaas_disk_free_inodes',
    'How many files can still be made there; no value where the file system does not count them.',
    ({ inodes }) => inodes,
  );
  addGauge(
    registry,
    'microsaas_memory_available_bytes',
    'Memory of the host that programs can still get.',
    freemem,
  );
  addGauge(registry, 'microsaas_memory_size_bytes', 'Memory of the host.', totalmem);
}
