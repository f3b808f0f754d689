import type { DesiredInstance } from '../instance/types.ts';
import type { Databases, Engine } from '../interfaces.ts';

/** What an instance's own Postgres is started with. */
interface ServerContext {
  readonly engine: Pick<Engine, 'startDatabase'>;
  readonly databases: Pick<Databases, 'awaitServer' | 'observe'>;
}

/** Starts an instance's own Postgres alone, and waits until it can be used. */
export async function startServer(
  desired: DesiredInstance,
  { databases, engine }: ServerContext,
  signal: AbortSignal,
): Promise<void> {
  await engine.startDatabase(desired, signal);
  await databases.awaitServer(desired, signal);
}

/** The same, where the instance has one that is not up. */
export async function ensureServer(
  desired: DesiredInstance,
  context: ServerContext,
  signal: AbortSignal,
): Promise<void> {
  if ((await context.databases.observe(desired, 'running')) === 'offline')
    await startServer(desired, context, signal);
}
