import { RetryableError } from '../errors.ts';
import { connectTo } from '../host/tcp-ports.ts';

/** How long the server may take to accept a connection, in milliseconds. */
const CONNECT_MS = 10_000;

/**
 * Asks a rest-server for a connection before restic does, which would ask a dead one for a quarter of an hour, with each command. Nothing
 * else is asked: over SSH restic gives up by itself, and sshd turns away whom it sees come and go (`PerSourcePenalties`).
 * @param base where the repositories are
 * @throws RetryableError('BackupServerAway')
 */
export async function requireServer(base: string): Promise<void> {
  if (!base.startsWith('rest:')) return;
  const { host: detail, hostname, port, protocol } = new URL(base.slice('rest:'.length));
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  await connectTo(host, Number(port) || (protocol === 'https:' ? 443 : 80), CONNECT_MS).catch(
    (cause) => {
      throw new RetryableError('BackupServerAway', `no connection to ${detail}`, { cause, detail });
    },
  );
}
