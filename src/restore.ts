import type { Config } from './config.ts';
import { ConfigError } from './errors.ts';
import { assemble } from './sidecar.ts';

/**
 * Brings an archived instance back, under its own number or that of another one that has never run.
 * It is stopped then, for a person to start.
 * @returns the instance's number.
 * @throws ConfigError when that instance has data; TerminalError('ArchiveDamaged')
 */
export async function restore(
  config: Config,
  name: string,
  target: number | null,
  signal: AbortSignal,
): Promise<number> {
  const { archives, databases, manager, templates, tools } = await assemble(config);
  const archive = await archives.read(name);
  const id = target ?? archive.instance;
  const [desired] = await manager.desired([id]);
  if (!desired) throw new ConfigError(`instance ${id}: expected one that Odoo knows, found none`);
  const isGone = desired.subscription?.dataRemovedAt != null;
  const isNew = !desired.wasReady && desired.desiredState === 'draft';
  if (!isGone && !isNew)
    throw new ConfigError(
      `instance ${id}: expected one whose data were removed, or that has never been started; found one with data of its own`,
    );
  if (templates.get(desired.templateCode).database === 'own')
    throw new ConfigError(
      `instance ${id}: expected a template on the shared Postgres, found ${desired.templateCode}, which has its own`,
    );
  // First: until Odoo says that it is wanted, the sidecar would take what is restored for leftovers.
  await manager.restoring(id, archive.template);
  await archives.unpack(archive, id, signal);
  await databases.restore(desired, (made) =>
    tools.restore(config.postgres, made, archive.dump, signal),
  );
  return id;
}
