import type { HostUse, InstanceUse } from '../instance/use.ts';

/** What an instance uses, as `microsaas_report_use` takes it. False: nobody knows. */
export function useRow(use: InstanceUse) {
  return {
    id: use.id,
    identity: use.identity,
    at: use.at.getTime() / 1000,
    disk_mb: use.diskMb ?? false,
    database_mb: use.databaseMb ?? false,
    users: use.users ?? false,
    memory_mb: use.memoryMb ?? false,
    cpus: use.cpus ?? false,
    requests: use.requests ?? false,
  };
}

/** How the machine does, as `microsaas_report_use` takes it. */
export function hostRow(host: HostUse) {
  return {
    memory_mb: host.memoryMb,
    free_memory_mb: host.freeMemoryMb,
    disk_mb: host.diskMb,
    free_disk_mb: host.freeDiskMb,
    short_of: host.shortOf,
  };
}
