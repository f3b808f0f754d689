import { join } from 'node:path';

/** The paths of one instance's files and directories. All absolute. */
export interface InstancePaths {
  readonly directory: string;
  /** Whose directory it is: see directory-mark.ts. */
  readonly mark: string;
  readonly compose: string;
  readonly etc: string;
  readonly conf: string;
  readonly filestore: string;
  readonly sessions: string;
  /** The commits whose modules the Apps list shows. */
  readonly appsList: string;
  readonly secrets: string;
  /** Socket directory, data and superuser's password of its own Postgres, where it has one. */
  readonly socket: string;
  readonly pgdata: string;
  readonly postgresPassword: string;
}

/** `<dataDir>/instances/<id>`: from the number alone, never from a name. */
export function instanceDirectory(dataDir: string, id: number): string {
  if (!Number.isSafeInteger(id) || id < 1) throw new TypeError(`not an instance id: ${id}`);
  return join(dataDir, 'instances', String(id));
}

export function instancePaths(directory: string): InstancePaths {
  const secrets = join(directory, 'secrets');
  const etc = join(directory, 'etc');
  return {
    directory,
    mark: join(directory, 'identity.json'),
    compose: join(directory, 'docker-compose.yml'),
    etc,
    conf: join(etc, 'odoo.conf'),
    filestore: join(directory, 'filestore'),
    sessions: join(directory, 'sessions'),
    appsList: join(directory, 'apps-list'),
    secrets,
    socket: join(directory, 'postgresql'),
    pgdata: join(directory, 'pgdata'),
    postgresPassword: join(secrets, 'postgres-password'),
  };
}
