import { type Check, Warning } from './check.ts';
import type { Config } from './config.ts';
import type { NetworkServer } from './instance/types.ts';
import type { Sidecar } from './wiring.ts';

/** The first whose schema `public` nobody may make anything in unasked. */
const OLDEST_POSTGRES = 15;

/** What the customers' Postgres needs: at a socket an answer, on the network more. */
export function postgresChecks({ postgres }: Config, sidecar: Sidecar): Check[] {
  const { databases } = sidecar;
  const { image, server } = postgres;
  const isOnNetwork = 'hosts' in server;
  const answers: Check = {
    name: 'Postgres',
    probe: async () => {
      await databases.ping();
      return isOnNetwork ? `${server.hosts.join(', ')}, port ${server.port}` : server.socketDir;
    },
    fix: `start the Postgres of the instances, and check ${isOnNetwork ? 'postgres.hosts, postgres.caFile' : 'postgres.socketDir'} and its password`,
  };
  if (!isOnNetwork) return [answers];
  return [
    answers,
    {
      name: "Postgres' version",
      probe: () => checkVersion(sidecar),
      fix: `run Postgres ${OLDEST_POSTGRES} or later, and let postgres.image (${image}) be at least as new: its pg_dump makes the backups`,
    },
    {
      name: "Postgres' TLS",
      probe: async () => {
        const open = await databases.plainHosts();
        if (open.length > 0) throw new Error(`${open.join(', ')}: lets in who uses no TLS`);
        return 'nobody gets in without it';
      },
      fix: 'in its pg_hba.conf only hostssl lines may let anybody in (docs/postgres.md); a managed one has a setting for that',
    },
    ...(server.hosts.length > 1
      ? [
          {
            name: "Postgres' standby",
            probe: () => checkStandby(server, sidecar),
            fix: 'make a standby synchronous (docs/postgres.md); or name one host, where the others are no standbys of it',
          },
        ]
      : []),
  ];
}

async function checkVersion({ databases, tools }: Sidecar): Promise<string> {
  const [{ version }, ours] = await Promise.all([databases.serverFacts(), tools.version()]);
  const found = `server ${version}, pg_dump ${ours}`;
  if (version < OLDEST_POSTGRES || ours < version) throw new Error(found);
  return found;
}

async function checkStandby({ hosts }: NetworkServer, { databases }: Sidecar): Promise<string> {
  const { standbys } = await databases.serverFacts();
  if (standbys.some((state) => state === null))
    throw new Warning('not known: the user of the sidecar may not see it (GRANT pg_monitor)');
  const synchronous = standbys.filter((state) => state === 'sync' || state === 'quorum').length;
  const found = `${hosts.length} hosts, standbys: ${standbys.length}, synchronous: ${synchronous}`;
  if (synchronous === 0) throw new Error(`${found}: what was saved last is lost with the primary`);
  return found;
}
