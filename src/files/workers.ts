/** What the master, the scheduled jobs, the websockets and the peaks of a request want beside the workers, in MB. */
const BESIDE_MB = 512;

/** What a worker that serves people takes of its own, in MB: much of it is shared with the others. */
const WORKER_MB = 256;

/**
 * How many worker processes an Odoo gets; 0: one process with threads. Threads of one Python run on one processor, so more processors need
 * processes: two for each, for a worker serves one request at a time, and one that waits for Postgres leaves its processor to another. Where
 * the memory does not hold two, threads need less of it.
 * @param cpus processors, may be a fraction
 * @param memoryMb the container's limit
 */
export function workersFor(cpus: number, memoryMb: number): number {
  if (cpus < 2) return 0;
  const affordable = Math.floor((memoryMb - BESIDE_MB) / WORKER_MB);
  const workers = Math.min(2 * Math.floor(cpus), affordable);
  return workers < 2 ? 0 : workers;
}
