import { freemem, totalmem } from 'node:os';
import { Gauge, type Registry } from 'prom-client';

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
  const registers = [registry];
  for (const [name, help, read] of [
    [
      'microsaas_disk_free_bytes',
      "Free on the disk with the customers' data.",
      ({ bytes }) => bytes,
    ],
    ['microsaas_disk_free_ratio', 'The free part of that disk, 0 to 1.', ({ share }) => share],
    [
      'microsaas_disk_free_inodes',
      'How many files can still be made there; no value where the file system does not count them.',
      ({ inodes }) => inodes,
    ],
  ] satisfies ReadonlyArray<[string, string, (free: FreeSpace) => number]>)
    new Gauge({
      ...{ name, help, registers },
      async collect() {
        // A disk that does not answer is seen by its missing values, and must not take the other metrics with it.
        const value = await freeSpace().then(read, () => Number.NaN);
        if (Number.isFinite(value)) this.set(value);
        else this.remove();
      },
    });
  new Gauge({
    name: 'microsaas_memory_available_bytes',
    help: 'Memory of the host that programs can still get.',
    registers,
    collect() {
      this.set(freemem());
    },
  });
  new Gauge({
    name: 'microsaas_memory_size_bytes',
    help: 'Memory of the host.',
    registers,
    collect() {
      this.set(totalmem());
    },
  });
}
