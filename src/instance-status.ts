import { megabytes, momentInWords } from './ages.ts';
import { decide, effectiveState, mayBeNobodys } from './instance/decide.ts';
import type { DesiredInstance, EffectiveState, ObservedInstance } from './instance/types.ts';
import { stateInWords } from './instance-table.ts';
import { printable } from './printable.ts';
import type { Sidecar } from './wiring.ts';

/** How many lines of an instance's log are shown. */
const LOG_LINES = 10;

/** A line of the output: what it is about, and what is said of it. */
type Fact = readonly [name: string, value: string];

type Parts = Pick<
  Sidecar,
  'manager' | 'engine' | 'databases' | 'memoryUse' | 'certificates' | 'backups'
>;

/**
 * The output of `microsaas status`: what is wanted of an instance, what is seen of it, what would be done next and why, and what people
 * were told. Changes nothing. A part that cannot be had is replaced by why.
 */
export async function instanceStatus(
  desired: DesiredInstance,
  sidecar: Parts,
  now = new Date(),
): Promise<string> {
  const { id } = desired;
  const [told, known, memory, seen, names] = await Promise.all([
    sidecar.manager.told([id], LOG_LINES),
    sidecar.manager.states(),
    orWhy(async () => memoryInWords(desired, await sidecar.memoryUse((one) => one === id))),
    orWhy(() => observedInWords(desired, sidecar)),
    namesOf(desired, sidecar),
  ]);
  const { log = [], sentence = '', since = 0 } = told.get(id) ?? {};
  const facts: Fact[] = [
    ['number', String(id)],
    ['name', desired.name],
    ['customer', desired.customer.companyName],
    ['administrator', `${desired.customer.name} <${desired.customer.email}>`],
    ['state', stateInWords(desired)],
    ['since', since === 0 ? 'unknown' : momentInWords(since, now)],
    ['why', sentence || '-'],
    ['wanted', wantedInWords(desired)],
    ['seen', seen],
    ['memory', memory],
    ['limits', limitsInWords(desired)],
    ['address', desired.instanceUrl || '-'],
    ...names,
    ['template', desired.templateCode],
    ...desired.repositories.map(
      ({ branch, commit, url }): Fact => [
        'repository',
        `${url} ${branch || '(default branch)'} at ${commit || 'no commit yet'}`,
      ],
    ),
    ['subscription', subscriptionInWords(desired)],
    ...visitsOf(desired, now),
    ['backups', backupsInWords(known.get(id), sidecar.backups.isNightly, now)],
    ['log', log.length === 0 ? '-' : ''],
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) =>
    `${name.padEnd(width)}  ${printable(value)}`.trimEnd(),
  );
  return [...lines, ...log.map((line) => `  ${printable(line)}`), ''].join('\n');
}

async function orWhy(ask: () => Promise<string>): Promise<string> {
  return ask().catch((error: Error) => `unknown: ${error.message.split('\n').at(-1)}`);
}

/** As far as it can be told from outside of the sidecar that runs: that one alone knows of visitors since the last report. */
function stateToReach(desired: DesiredInstance): EffectiveState {
  const state = effectiveState(desired, null);
  return state === 'running' && desired.isAsleep ? 'asleep' : state;
}

function wantedInWords(desired: DesiredInstance): string {
  const state = stateToReach(desired);
  const { desiredState, job } = desired;
  const because = state === desiredState ? '' : ` (people want: ${desiredState})`;
  return `${state}${because}${job ? `; job ${job.id}: ${job.kind}` : ''}`;
}

async function observedInWords(
  desired: DesiredInstance,
  { backups, databases, engine }: Parts,
): Promise<string> {
  const state = stateToReach(desired);
  const observed = await engine.observe(desired, state);
  const isOwn = observed.directory === 'own' || observed.directory === 'nobody';
  const mayEnter = isOwn && !(desired.wasReady && observed.data !== 'whole');
  const database = mayEnter ? await databases.observe(desired, state) : 'absent';
  const preparedJob = desired.job ? await backups.restores.prepared(desired) : '';
  const isHandedOver = !mayBeNobodys(desired, database) || (await databases.isHandedOver(desired));
  const others = { database, hung: false, preparedJob, isHandedOver };
  const seen: ObservedInstance = { ...observed, ...others };
  const step = decide(desired, state, seen);
  const next =
    step === null
      ? 'nothing is to be done'
      : `next: ${'do' in step ? step.do : step.stall}, because ${step.because}`;
  const answers = state === 'running' ? [seen.answering ? 'answers' : 'does not answer'] : [];
  return [
    `containers ${seen.containers}`,
    `database ${database}`,
    `files ${seen.data}`,
    ...answers,
    next,
  ].join(', ');
}

function memoryInWords({ id }: DesiredInstance, used: ReadonlyMap<number, number>): string {
  const bytes = used.get(id);
  return bytes === undefined ? 'none in use' : `${megabytes(bytes)} in use`;
}

function limitsInWords({ cpus, memoryMb }: DesiredInstance): string {
  const memory = memoryMb > 0 ? `${memoryMb} MB` : "memory as the template's";
  return `${memory}, ${cpus > 0 ? `${cpus} processors` : "processors as the template's"}`;
}

async function namesOf(
  { domains, formerSubdomains, ports, subdomain }: DesiredInstance,
  { certificates }: Parts,
): Promise<Fact[]> {
  const own = await Promise.all(
    domains.map(async ({ isVerified, name }): Promise<Fact> => {
      const until = await certificates?.until(name).catch(() => null);
      const certificate = until ? `certificate until ${dayOf(until)}` : 'no certificate';
      return ['domain', `${name}: ${isVerified ? 'verified' : 'not verified'}, ${certificate}`];
    }),
  );
  const former = formerSubdomains.length > 0 ? ` (before: ${formerSubdomains.join(', ')})` : '';
  return [
    ['ports', ports ? `${ports.http}, ${ports.longpolling}` : '-'],
    ['subdomain', `${subdomain || '-'}${former}`],
    ...own,
  ];
}

function dayOf(moment: Date): string {
  return moment.toISOString().slice(0, 10);
}

function subscriptionInWords({ subscription }: DesiredInstance): string {
  if (!subscription) return 'none';
  const { dataRemovedAt, endDay, state, suspendedAt } = subscription;
  return [
    state,
    ...(endDay ? [`paid until ${endDay}`] : []),
    ...(suspendedAt ? [`suspended on ${dayOf(suspendedAt)}`] : []),
    ...(dataRemovedAt ? [`data removed on ${dayOf(dataRemovedAt)}`] : []),
  ].join(', ');
}

function visitsOf({ lastRequestAt, sleepHours, wakeAt }: DesiredInstance, now: Date): Fact[] {
  if (sleepHours <= 0) return [];
  const wakes = wakeAt > 0 ? `, wakes ${momentInWords(wakeAt, now)}` : '';
  const visit = momentInWords(lastRequestAt, now);
  return [['sleep', `after ${sleepHours} h; last visit ${visit} (may be an hour old)${wakes}`]];
}

function backupsInWords(
  known: { readonly lastBackupAt: number; readonly lastProofAt: number } | undefined,
  isEnabled: boolean,
  now: Date,
): string {
  const { lastBackupAt = 0, lastProofAt = 0 } = known ?? {};
  const found = `newest ${momentInWords(lastBackupAt, now)}; newest proven ${momentInWords(lastProofAt, now)}`;
  return isEnabled ? found : `switched off (backups.enabled); ${found}`;
}
