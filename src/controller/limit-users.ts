import { RetryableError } from '../errors.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { ControllerContext } from './controller-context.ts';

/** Gives an instance's Odoo the limit of its plan's users. A customer's database may refuse it, which keeps nobody from their Odoo. */
export async function limitUsers(
  desired: DesiredInstance,
  { databases, log }: Pick<ControllerContext, 'databases' | 'log'>,
): Promise<void> {
  await databases.limitUsers(desired).catch((error) => {
    if (!(error instanceof RetryableError)) throw error;
    log.warn({ instance: desired.id, name: desired.name, err: error }, 'users not limited');
  });
}
