import type { Hold, Invoice, PlanUnit } from '../billing/invoice-types.ts';
import type { RecentSuspensions } from '../billing/suspension-limit.ts';
import { ManagerError } from '../errors.ts';
import type { BackupFacts } from '../instance/backup-policy.ts';
import type { Kept } from '../instance/backup-retention.ts';
import type { DomainReport, WatchedDomain } from '../instance/domain.ts';
import type { Distrust } from '../instance/manager-history.ts';
import { detailOf, type FailureReason } from '../instance/reasons.ts';
import type {
  DesiredInstance,
  FoundInstance,
  Job,
  JobReport,
  MarkedInstance,
  Plan,
  PlanReport,
  PortPair,
  Report,
  Spare,
  SpareReport,
  SweptInstance,
  TemplateSummary,
} from '../instance/types.ts';
import type { HostUse, InstanceUse } from '../instance/use.ts';
import type { Backup, DoorRoute, Manager, ManagerFacts, StatePage } from '../interfaces.ts';
import { backupRow, type JobProgress, jobProgress } from './backup-rows.ts';
import { BatchLoader } from './batch-loader.ts';
import { domainReportRow, watchedDomains } from './domain-rows.ts';
import {
  assignedPorts,
  desiredInstances,
  done,
  facts,
  ids,
  instanceStates,
  markedRow,
  plans,
  reportRow,
  reservedNumber,
  routes,
  spareNumbers,
  spares,
  statePage,
  type Told,
  told,
  wasReported,
} from './instance-rows.ts';
import { invoice } from './invoice-rows.ts';
import { id } from './odoo-values.ts';
import type { OdooClient } from './rpc/odoo-client.ts';
import { recentSuspensions } from './subscription-rows.ts';
import { hostRow, useRow } from './use-rows.ts';

/** The addon's model with everything that is called here: `odoo-addon/micro_saas/models/microsaas_sidecar_api.py`. */
const API = 'microsaas.sidecar.api';

/** The door as the manager shows it to people. */
export interface DoorFacts {
  readonly domain: string;
  /** The pattern of instances' addresses. */
  readonly url: string;
  /** Where customers' own domains must lead; empty: where the domain itself leads. */
  readonly addresses: readonly string[];
  /** The manager's own label below the domain; '' where it is not behind the door. */
  readonly manager: string;
}

/** The manager Odoo with the addon `micro_saas`: what a method writes is one call, so one transaction there. */
export class OdooManager implements Manager {
  readonly #odoo: OdooClient;
  readonly #door: DoorFacts | null;
  #handshake: Promise<ManagerFacts> | null = null;
  readonly #desired: BatchLoader<DesiredInstance>;

  /** @param door null: there is none */
  constructor(odoo: OdooClient, door: DoorFacts | null = null) {
    this.#odoo = odoo;
    this.#door = door;
    this.#desired = new BatchLoader((ids) =>
      odoo.call(API, 'microsaas_desired', { instance_ids: ids }, desiredInstances),
    );
  }

  /** Any number at the same moment are one call: the first ever writes in Odoo, and two would be in each other's way. */
  handshake(installId: string): Promise<ManagerFacts> {
    const args = { install_id: installId, door: this.#door ?? false };
    this.#handshake ??= this.#odoo.call(API, 'microsaas_hello', args, facts).finally(() => {
      this.#handshake = null;
    });
    return this.#handshake;
  }

  due(limit: number): Promise<number[]> {
    return this.#odoo.call(API, 'microsaas_due', { limit }, ids);
  }

  unclaimed(limit: number): Promise<number[]> {
    return this.#odoo.call(API, 'microsaas_unclaimed', { limit }, ids);
  }

  async desired(instanceIds: readonly number[]): Promise<DesiredInstance[]> {
    return instanceIds.length === 0 ? [] : this.#desired.read(instanceIds);
  }

  invoice(id: number): Promise<Invoice | null> {
    return this.#odoo.call(API, 'microsaas_invoice', { invoice_id: id }, invoice);
  }

  async claim(units: readonly PlanUnit[], above: number): Promise<DesiredInstance[]> {
    if (units.length === 0) return [];
    const rows = units.map(({ lineId, unit }) => ({ line_id: lineId, unit }));
    const args = { units: rows, above };
    const claimed = await this.#odoo.call(API, 'microsaas_claim', args, desiredInstances);
    if (claimed.length === units.length) return claimed;
    throw new ManagerError(
      'server',
      `${API}.microsaas_claim answered ${claimed.length} instances for ${units.length} units`,
    );
  }

  checkpoint(): Promise<number> {
    return this.#odoo.call(API, 'microsaas_checkpoint', {}, id);
  }

  async distrust(kind: Distrust, above: number, found: readonly FoundInstance[]): Promise<void> {
    await this.#odoo.call(API, 'microsaas_distrust', { kind, above, found }, done);
  }

  /** Makes records again of instances that Odoo has lost. @returns the ids of those that have one now */
  adopt(
    found: ReadonlyArray<MarkedInstance & { readonly running: boolean; readonly hasData: boolean }>,
  ): Promise<number[]> {
    return this.#odoo.call(API, 'microsaas_adopt', { found: found.map(markedRow) }, ids);
  }

  async hold(invoiceId: number, { reason, detail }: Hold): Promise<void> {
    const args = { invoice_id: invoiceId, reason, detail: detailOf(...detail) };
    await this.#odoo.call(API, 'microsaas_hold_invoice', args, done);
  }

  async report(reports: readonly Report[]): Promise<void> {
    if (reports.length === 0) return;
    const args = { reports: reports.map(reportRow) };
    await this.#odoo.call(API, 'microsaas_report', args, done);
  }

  async reportUse(uses: readonly InstanceUse[], host: HostUse): Promise<void> {
    const args = { uses: uses.map(useRow), host: hostRow(host) };
    await this.#odoo.call(API, 'microsaas_report_use', args, done);
  }

  spares(): Promise<Spare[]> {
    return this.#odoo.call(API, 'microsaas_spares', {}, spares);
  }

  spareNumbers(): Promise<ReadonlySet<number>> {
    return this.#odoo.call(API, 'microsaas_spares', {}, spareNumbers);
  }

  reserveSpare(
    { id, spareContent }: Pick<Plan, 'id' | 'spareContent'>,
    above: number,
  ): Promise<number | null> {
    const args = { plan_id: id, content: spareContent, above };
    return this.#odoo.call(API, 'microsaas_reserve_spare', args, reservedNumber);
  }

  reportSpare(id: number, state: SpareReport, imageDigest = ''): Promise<boolean> {
    const args = { number: id, state, image_digest: imageDigest };
    return this.#odoo.call(API, 'microsaas_report_spare', args, wasReported);
  }

  states(): Promise<Map<number, SweptInstance>> {
    return this.#odoo.call(API, 'microsaas_states', {}, instanceStates);
  }

  async assignPorts(
    { id }: Pick<DesiredInstance, 'id'>,
    exclude: readonly number[],
  ): Promise<PortPair | null> {
    const args = { instance_id: id, exclude };
    const ask = () => this.#odoo.call(API, 'microsaas_assign_ports', args, assignedPorts);
    return ask().catch((error) => {
      // Another instance got one of the two ports at the same moment: the second answer takes that into account.
      if (error instanceof ManagerError && error.kind === 'validation') return ask();
      throw error;
    });
  }

  plans(planIds: readonly number[]): Promise<Plan[]> {
    return this.#odoo.call(API, 'microsaas_plans', { plan_ids: planIds }, plans);
  }

  async reportPlan(planId: number, { isReady, ...report }: PlanReport): Promise<void> {
    const args = { plan_id: planId, is_ready: isReady, ...report };
    await this.#odoo.call(API, 'microsaas_report_plan', args, done);
  }

  async syncTemplates(templates: readonly TemplateSummary[]): Promise<void> {
    const rows = templates.map(({ code, imagePins, name, odooVersion }) => ({
      code,
      name,
      odoo_version: odooVersion,
      image_digest: imagePins[0] ?? '',
      image_pins: imagePins.join('\n'),
    }));
    await this.#odoo.call(API, 'microsaas_sync', { templates: rows }, done);
  }

  routes(): Promise<DoorRoute[]> {
    return this.#odoo.call(API, 'microsaas_routes', {}, routes);
  }

  domains(ids: readonly number[]): Promise<WatchedDomain[]> {
    return this.#odoo.call(API, 'microsaas_domains', { domain_ids: ids }, watchedDomains);
  }

  async reportDomain(id: number, report: DomainReport): Promise<void> {
    const args = { domain_id: id, ...domainReportRow(report) };
    await this.#odoo.call(API, 'microsaas_report_domain', args, done);
  }

  async reportJob(id: number, report: JobReport): Promise<void> {
    await this.#odoo.call(API, 'microsaas_report_job', { job_id: id, ...report }, done);
  }

  /** Asks for something to be done with backups, as a person does in Odoo. @returns the job's number @throws ManagerError where Odoo refuses it */
  async askForJob(instanceId: number, kind: Job['kind'], snapshot: string): Promise<number> {
    const args = { instance_id: instanceId, kind, snapshot };
    return this.#odoo.call(API, 'microsaas_ask_for_job', args, id);
  }

  /** Makes a staging copy of a proven backup, as a person does in Odoo. @returns the copy's number @throws ManagerError where Odoo refuses it */
  async askForStaging(instanceId: number, snapshot: string): Promise<number> {
    const args = { instance_id: instanceId, snapshot };
    return this.#odoo.call(API, 'microsaas_ask_for_staging', args, id);
  }

  /** How far a job is. */
  jobProgress(jobId: number): Promise<JobProgress> {
    return this.#odoo.call(API, 'microsaas_job', { job_id: jobId }, jobProgress);
  }

  async reportBackups(
    id: number,
    backups: ReadonlyArray<Backup & { readonly kept: Kept }> | null,
    failure: { readonly reason: FailureReason; readonly detail: string } | null,
  ): Promise<void> {
    const rows = backups?.map(backupRow) ?? false;
    const args = { instance_id: id, backups: rows, failure: failure ?? false };
    await this.#odoo.call(API, 'microsaas_report_backups', args, done);
  }

  async reportManagerBackups(
    { lastBackupAt, lastProofAt }: Pick<BackupFacts, 'lastBackupAt' | 'lastProofAt'>,
    failure: { readonly reason: FailureReason; readonly detail: string } | null,
  ): Promise<void> {
    const args = { last_backup: lastBackupAt, last_proof: lastProofAt, failure: failure ?? false };
    await this.#odoo.call(API, 'microsaas_report_manager_backups', args, done);
  }

  page(host: string, id: number, language: string): Promise<StatePage> {
    const args = { host, instance_id: id, language };
    return this.#odoo.call(API, 'microsaas_page', args, statePage);
  }

  /** What people were last told of instances. @param lines how many of each one's log */
  told(instanceIds: readonly number[], lines: number): Promise<Map<number, Told>> {
    return this.#odoo.call(API, 'microsaas_told', { instance_ids: instanceIds, lines }, told);
  }

  async restoreStage(id: number, templateCode: string, stage: 'begin' | 'end'): Promise<void> {
    const args = { instance_id: id, template_code: templateCode, stage };
    await this.#odoo.call(API, 'microsaas_restore', args, done);
  }

  recentSuspensions(instanceId: number): Promise<RecentSuspensions> {
    const args = { instance_id: instanceId };
    return this.#odoo.call(API, 'microsaas_recent_suspensions', args, recentSuspensions);
  }

  async requestApproval(instanceId: number, { fleet, taken }: RecentSuspensions): Promise<void> {
    const args = { instance_id: instanceId, taken, fleet };
    await this.#odoo.call(API, 'microsaas_request_approval', args, done);
  }
}
