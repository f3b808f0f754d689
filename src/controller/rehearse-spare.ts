import type { Spare } from '../instance/types.ts';
import type { ControllerContext } from './controller-context.ts';

/**
 * Opens the first pages of a spare that runs, in each of its languages, and removes what that leaves. Until the end somebody could still log
 * in, so this is what comes last before it is ready. May be repeated.
 */
export async function rehearseSpare(
  spare: Spare,
  { databases, engine }: Pick<ControllerContext, 'databases' | 'engine'>,
  signal: AbortSignal,
): Promise<void> {
  for (const lang of spare.languages) {
    const login = await databases.beginRehearsal(spare, lang);
    await engine.rehearse(spare, { ...login, lang }, signal);
  }
  await databases.endRehearsal(spare);
  await engine.forgetSessions(spare);
}
