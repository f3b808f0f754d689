import { TenantDatabaseError } from '../errors.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { ControllerContext } from './controller-context.ts';

/** Writes an instance's address into its database: its names or ports may have changed since it was last reported. A customer's database may refuse it. */
export async function renewUrl(
  desired: DesiredInstance,
  { databases, log }: Pick<ControllerContext, 'databases' | 'log'>,
): Promise<void> {
  await databases.setUrl(desired).catch((error) => {
    if (!(error instanceof TenantDatabaseError)) throw error;
    log.warn({ instance: desired.id, name: desired.name, err: error }, 'URL not renewed');
  });
}
