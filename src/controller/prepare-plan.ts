import { TerminalError } from '../errors.ts';
import { detailOf } from '../instance/reasons.ts';
import type { ControllerContext } from './controller-context.ts';

/**
 * Fetches a plan's repositories and builds its template databases before its first sale, so that no customer waits for them.
 * What only a person can fix (a module that does not exist) is reported on the plan.
 */
export async function preparePlan(
  planId: number,
  context: ControllerContext,
  signal: AbortSignal,
): Promise<void> {
  const { manager, databases, engine, log } = context;
  const [plan] = await manager.plans([planId]);
  if (!plan) return;
  const { content } = plan;
  try {
    const { commits, remarks } = await engine.fetchRepositories(plan, signal);
    const repositories = plan.repositories.map((repository, index) => ({
      ...repository,
      commit: commits[index]?.commit ?? '',
    }));
    await databases.prepare({ ...plan, repositories }, signal);
    await manager.reportPlan(planId, {
      isReady: true,
      reason: remarks.length > 0 ? 'Remarks' : '',
      detail: detailOf(...remarks.map(({ reason, detail }) => `${reason} ${detail}`)),
      commits,
      content,
    });
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error;
    log.error({ plan: planId, reason: error.reason, err: error }, 'plan cannot be prepared');
    await manager.reportPlan(planId, {
      isReady: false,
      reason: error.reason,
      detail: error.detail,
      commits: [],
      content,
    });
  }
}
