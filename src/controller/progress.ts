import type { Action, DesiredInstance, Report } from '../instance/types.ts';

/** What people read while a step is under way. The addon translates by the reason; this is the English. */
const SENTENCES = {
  Marking: 'Marking the data as those of this instance.',
  AssigningPorts: 'Choosing free ports.',
  FetchingRepositories: 'Fetching the addon repositories.',
  Rendering: 'Writing the configuration.',
  StartingDatabase: 'Starting the database server.',
  PreparingTemplate:
    'Preparing the modules of this plan for the first time. This takes some minutes.',
  CreatingDatabase: 'Creating the database.',
  WaitingForMemory: 'Waiting for free memory on the server.',
  Starting: 'Starting the instance.',
  WaitingForAnswer: 'Waiting for the first answer.',
  Restarting: 'It has not answered for some minutes: restarting it.',
  UpdatingApps: 'Listing the new modules among the Apps.',
  Stopping: 'Stopping the instance.',
  TakingDown: 'Taking the instance down. Its data is kept.',
  Archiving: 'Writing the last copy of the data.',
  Purging: 'Removing the data. An archive is kept.',
} as const;

type ProgressReason = keyof typeof SENTENCES;

const REASON: Record<Action, ProgressReason> = {
  adopt: 'Marking',
  assignPorts: 'AssigningPorts',
  fetchRepositories: 'FetchingRepositories',
  render: 'Rendering',
  startDatabase: 'StartingDatabase',
  createDatabase: 'CreatingDatabase',
  start: 'Starting',
  awaitAnswer: 'WaitingForAnswer',
  restart: 'Restarting',
  updateAppsList: 'UpdatingApps',
  stop: 'Stopping',
  removeContainers: 'TakingDown',
  purge: 'Purging',
};

/** What is said before a step is taken. */
export function stepReport(desired: DesiredInstance, action: Action, now: Date): Report {
  return progressReport(desired, REASON[action], now);
}

export function progressReport(desired: DesiredInstance, reason: string, now: Date): Report {
  const message = SENTENCES[reason as ProgressReason] ?? reason;
  return {
    id: desired.id,
    revision: desired.revision,
    reason,
    message,
    detail: '',
    log: [logLine(now, message)],
  };
}

/** One line of an instance's log in Odoo, with its time in UTC. */
export function logLine(now: Date, text: string): string {
  return `${now.toISOString().slice(0, 19).replace('T', ' ')} ${text}`;
}
