import type { DesiredInstance } from '../instance/types.ts';

/**
 * Which end of an instance it is: the moment at which the removal of its data was announced, such as `20261124T101500Z`. The same however
 * often its last backup is taken, and another one where it was restored and ends again.
 * @throws TypeError for an instance whose data are not to be removed
 */
export function endingOf({
  id,
  subscription,
}: Pick<DesiredInstance, 'id' | 'subscription'>): string {
  const moments = [subscription?.finalNoticeAt, subscription?.removedAt];
  const since = Math.max(...moments.map((moment) => moment?.getTime() ?? 0));
  if (since === 0) throw new TypeError(`the data of instance ${id} are not to be removed`);
  return new Date(since).toISOString().replace(/[-:]|\.\d+/g, '');
}
