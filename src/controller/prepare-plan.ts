import { TerminalError } from '../errors.ts';
import type { World } from './world.ts';

/**
 * Builds a plan's template databases before its first customer pays, so that she doesn't wait for them.
 * What only a person can mend (a module that does not exist) is said on the plan.
 */
export async function preparePlan(
  planId: number,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const { manager, databases, log } = world;
  const [plan] = await manager.plans([planId]);
  if (!plan) return;
  try {
    await databases.prepare(plan, signal);
    await manager.reportPlan(planId, true, '');
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error;
    log.error({ plan: planId, reason: error.reason, err: error }, 'plan cannot be prepared');
    await manager.reportPlan(planId, false, error.message);
  }
}
