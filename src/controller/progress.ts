import type { Drift } from '../instance/drift.ts';
import type { ProgressReason, Reason } from '../instance/reasons.ts';
import type { Action, DesiredInstance, LogLine, Report } from '../instance/types.ts';

const REASON: Record<Action, ProgressReason> = {
  adopt: 'Marking',
  assignPorts: 'AssigningPorts',
  fetchRepositories: 'FetchingRepositories',
  render: 'Rendering',
  startDatabase: 'StartingDatabase',
  createDatabase: 'CreatingDatabase',
  handOver: 'HandingOver',
  start: 'Starting',
  awaitAnswer: 'WaitingForAnswer',
  restart: 'Restarting',
  updateAppsList: 'UpdatingApps',
  applyLimits: 'ApplyingLimits',
  stop: 'Stopping',
  removeContainers: 'TakingDown',
  purge: 'Purging',
  swapData: 'SwappingData',
};

/** What is said before a step is taken. @param drift why it is, where nobody has asked for it */
export function stepReport(
  desired: DesiredInstance,
  action: Action,
  now: Date,
  drift: Drift | null = null,
): Report {
  const reason = REASON[action];
  const line = { at: momentOf(now), reason, detail: '', ...(drift ? { because: drift } : {}) };
  return { ...progressReport(desired, reason, now), log: [line] };
}

export function progressReport(
  { id, revision }: DesiredInstance,
  reason: ProgressReason,
  now: Date,
): Report {
  return { id, revision, reason, detail: '', log: [logReason(now, reason)] };
}

/** A line of an instance's log in Odoo for which the addon has the sentence. */
export function logReason(now: Date, reason: Reason, detail = ''): LogLine {
  return { at: momentOf(now), reason, detail };
}

/** A line of an instance's log in Odoo that only operators read, in English, with its time in UTC. */
export function logLine(now: Date, text: string): string {
  return `${momentOf(now)} ${text}`;
}

function momentOf(now: Date): string {
  return now.toISOString().slice(0, 19).replace('T', ' ');
}
