import { z } from 'zod';
import type {
  CustomerDomain,
  DesiredInstance,
  MarkedInstance,
  Plan,
  Report,
  Repository,
  Sleep,
  Spare,
  SweptInstance,
} from '../instance/types.ts';
import type { DoorRoute, ManagerFacts, StatePage } from '../interfaces.ts';
import { backupFactsOf, backupFactsRow, job } from './backup-rows.ts';
import { id } from './odoo-values.ts';
import { subscription, subscriptionRow } from './subscription-rows.ts';

/*
 * The shapes that the addon's public methods give and take, and what they mean here. Odoo has no null:
 * it says false, '' or 0. Unknown members are ignored, so that a newer addon may say more.
 */

/** 0 stands for a port that is not assigned. */
const portRow = z.object({ http_port: z.int(), longpolling_port: z.int() });
const portsOf = ({ http_port: http, longpolling_port: longpolling }: z.infer<typeof portRow>) =>
  http > 0 && longpolling > 0 ? { http, longpolling } : null;
const instanceState = z.enum(['draft', 'running', 'stopped', 'error', 'removed']);

export const ids = z.array(id);
export const done = z.literal(true);
export const assignedPorts = portRow.transform(portsOf);

/** Moments are seconds since 1970, 0 for none. */
const sleepRow = z.object({
  sleep_hours: z.number(),
  asleep: z.boolean(),
  last_request_at: z.number(),
  wake_at: z.number(),
});
const sleepOf = (row: z.infer<typeof sleepRow>): Sleep => ({
  sleepHours: row.sleep_hours,
  isAsleep: row.asleep,
  lastRequestAt: row.last_request_at,
  wakeAt: row.wake_at,
});

export const instanceStates = z
  .array(
    z.object({
      id,
      state: instanceState,
      reason: z.string(),
      revision: z.int(),
      ...sleepRow.shape,
      ...backupFactsRow.shape,
      is_copy: z.boolean(),
    }),
  )
  .transform(
    (rows) =>
      new Map<number, SweptInstance>(
        rows.map((row) => [
          row.id,
          {
            ...{ state: row.state, reason: row.reason, revision: row.revision },
            ...{ ...sleepOf(row), ...backupFactsOf(row), isCopy: row.is_copy },
          },
        ]),
      ),
  );

const repository = z
  .object({ id, url: z.string(), branch: z.string(), commit: z.string(), of_plan: z.boolean() })
  .transform(({ of_plan: isOfPlan, ...row }): Repository => ({ ...row, isOfPlan }));

export const plans = z.array(
  z
    .object({
      id,
      template_code: z.string(),
      content: z.string(),
      modules: z.array(z.string()),
      repositories: z.array(repository),
      languages: z.array(z.string()),
      country_code: z.string(),
      // An older addon has no spares.
      spares: z.int().min(0).default(0),
      recent_sales: z.int().min(0).default(0),
      spare_content: z.string().default(''),
    })
    .transform(
      (row): Plan => ({
        id: row.id,
        templateCode: row.template_code,
        content: row.content,
        modules: row.modules,
        repositories: row.repositories,
        languages: row.languages,
        countryCode: row.country_code,
        spares: row.spares,
        recentSales: row.recent_sales,
        spareContent: row.spare_content,
      }),
    ),
);

export const facts = z
  .object({
    install_id: z.string(),
    addon_version: z.string(),
    database_uuid: z.string(),
    checkpoint: z.int(),
    highest_instance: z.int(),
    has_mail_server: z.boolean(),
    has_company_email: z.boolean(),
    // An older addon does not say.
    failed_mails: z.int().default(0),
    cron_at: z.number().default(0),
    heard_at: z.number().nullable().default(null),
    now: z.number().default(0),
  })
  .transform(
    (row): ManagerFacts => ({
      installId: row.install_id,
      addonVersion: row.addon_version,
      databaseUuid: row.database_uuid,
      checkpoint: row.checkpoint,
      highestInstance: row.highest_instance,
      hasMailServer: row.has_mail_server,
      hasCompanyEmail: row.has_company_email,
      failedMails: row.failed_mails,
      cronAt: row.cron_at,
      heardAt: row.heard_at,
      now: row.now,
    }),
  );

const domain = z
  .object({
    id,
    name: z.string(),
    verified: z.boolean(),
    certified: z.boolean(),
    token: z.string(),
  })
  .transform(
    ({ verified: isVerified, certified: hasCertificate, ...row }): CustomerDomain => ({
      ...row,
      isVerified,
      hasCertificate,
    }),
  );

/** What makes up an instance's addresses. */
const addressRow = z.object({
  subdomain: z.string(),
  former_subdomains: z.array(z.string()),
  domains: z.array(domain),
});

export const routes = z.array(
  z.object({ id, ...portRow.shape, ...addressRow.shape, is_copy: z.boolean() }).transform(
    (row): DoorRoute => ({
      id: row.id,
      isCopy: row.is_copy,
      subdomain: row.subdomain,
      formerSubdomains: row.former_subdomains,
      domains: row.domains,
      ports: portsOf(row),
    }),
  ),
);

const webUrl = z.url({ protocol: /^https?$/ });

const pageLink = z.union([z.literal(false), z.object({ label: z.string(), url: webUrl })]);

export const statePage = z
  .object({
    status: z.int().min(400).max(599),
    retry_after: z.int().min(0),
    lang: z.string(),
    title: z.string(),
    lines: z.array(z.string()),
    action: pageLink,
    second_action: pageLink,
    company: z.string(),
    logo_url: z.union([z.literal(''), webUrl]),
  })
  .transform(
    ({
      retry_after: retryAfter,
      logo_url: logoUrl,
      second_action: secondAction,
      ...row
    }): StatePage => ({
      ...row,
      action: row.action || null,
      secondAction: secondAction || null,
      retryAfter,
      logoUrl,
    }),
  );

const customer = z
  .object({
    name: z.string(),
    company_name: z.string(),
    email: z.string(),
    lang: z.string(),
    country_code: z.string(),
  })
  .transform(({ company_name, country_code, ...rest }) => ({
    ...rest,
    companyName: company_name,
    countryCode: country_code,
  }));

const soldAs = z
  .object({ line_id: id, unit: z.int(), made_at: z.string() })
  .transform((row) => ({ lineId: row.line_id, unit: row.unit, madeAt: row.made_at }));

const desiredRow = z.object({
  id,
  identity: z.uuid(),
  may_adopt: z.boolean(),
  sold_as: z.union([z.literal(false), soldAs]),
  name: z.string(),
  state: instanceState,
  reason: z.string(),
  desired_state: z.enum(['draft', 'running', 'stopped', 'removed']),
  revision: z.int(),
  restart_count: z.int(),
  was_ready: z.boolean(),
  without_archive: z.boolean(),
  ...portRow.shape,
  instance_url: z.string(),
  ...addressRow.shape,
  template_code: z.string(),
  image_digest: z.string(),
  ...sleepRow.shape,
  memory_mb: z.number(),
  cpus: z.number(),
  // An older addon limits nobody.
  user_limit: z
    .union([z.literal(false), z.object({ users: z.int().min(1), refusal: z.string().min(1) })])
    .default(false),
  modules: z.array(z.string()),
  given_modules: z.union([z.literal(false), z.array(z.string())]),
  repositories: z.array(repository),
  customer,
  partner_id: z.int(),
  // An older addon lets nobody in.
  support_until: z.number().default(0),
  requested_at: z.number(),
  copy_of: z.union([
    z.literal(false),
    z.object({ id, identity: z.uuid(), snapshot: z.string().regex(/^[0-9a-f]{64}$/) }),
  ]),
  job: z.union([z.literal(false), job]),
  subscription: z.union([z.literal(false), subscription]),
  company_tz: z.string(),
  in_payment_is_paid: z.boolean(),
  // An older addon has no spares.
  from_spare: z.boolean().default(false),
  now: z.number(),
});

const desiredOf = (row: z.infer<typeof desiredRow>): DesiredInstance => ({
  id: row.id,
  identity: row.identity,
  mayAdopt: row.may_adopt,
  soldAs: row.sold_as || null,
  name: row.name,
  state: row.state,
  reason: row.reason,
  desiredState: row.desired_state,
  revision: row.revision,
  restartCount: row.restart_count,
  wasReady: row.was_ready,
  endsWithoutArchive: row.without_archive,
  ports: portsOf(row),
  instanceUrl: row.instance_url,
  subdomain: row.subdomain,
  formerSubdomains: row.former_subdomains,
  domains: row.domains,
  templateCode: row.template_code,
  imageDigest: row.image_digest,
  ...sleepOf(row),
  memoryMb: row.memory_mb,
  cpus: row.cpus,
  userLimit: row.user_limit || null,
  modules: row.modules,
  givenModules: row.given_modules || null,
  repositories: row.repositories,
  customer: row.customer,
  partnerId: row.partner_id,
  supportUntil: row.support_until,
  requestedAt: row.requested_at,
  subscription: row.subscription || null,
  copyOf: row.copy_of || null,
  job: row.job || null,
  spare: row.from_spare ? 'sold' : 'no',
  companyTimeZone: row.company_tz,
  inPaymentIsPaid: row.in_payment_is_paid,
  managerTime: new Date(row.now * 1000),
});

export const desiredInstances = z.array(desiredRow.transform(desiredOf));

/** Which numbers spares have, whatever else is said of them. */
export const spareNumbers = z
  .array(z.object({ id }))
  .transform((rows) => new Set(rows.map((row) => row.id)));

/** An Odoo language code: `es_ES`, `es_419`, `sr@latin`. */
const LANGUAGE_CODE = /^[A-Za-z]{2,3}(_[A-Za-z0-9]+)?(@[A-Za-z]+)?$/;

export const spares = z.array(
  desiredRow
    .extend({
      plan_id: z.int().min(0),
      languages: z.array(z.string()),
      spare_state: z.enum(['making', 'ready', 'leaving']),
      fresh: z.boolean(),
    })
    .transform(
      ({ fresh, languages: all, plan_id: planId, spare_state: spareState, ...row }): Spare => {
        // Anybody who may install a language names it. One with a name that is none ends its own spare, not the reading of the others.
        const languages = all.filter((lang) => LANGUAGE_CODE.test(lang));
        const isFresh = fresh && languages.length === all.length;
        return { ...desiredOf(row), spare: 'kept', planId, languages, spareState, isFresh };
      },
    ),
);

export const wasReported = z.boolean();
export const reservedNumber = z
  .int()
  .min(0)
  .transform((number) => number || null);

/** What people were last told of an instance. */
export interface Told {
  /** Since when it is in this state, or a step is under way: seconds since the epoch; 0: nobody knows. */
  readonly since: number;
  /** In English. */
  readonly sentence: string;
  /** The newest lines of its log, newest first, in English. */
  readonly log: readonly string[];
}

export const told = z
  .array(z.object({ id, since_at: z.number(), sentence: z.string(), log: z.array(z.string()) }))
  .transform(
    (rows) =>
      new Map<number, Told>(
        rows.map(({ id, since_at: since, ...rest }) => [id, { since, ...rest }]),
      ),
  );

/** One report as `microsaas_report` takes it; undefined members are not sent and so not written. */
export function reportRow(report: Report): Record<string, unknown> {
  return {
    id: report.id,
    revision: report.revision,
    state: report.state,
    reason: report.reason,
    detail: report.detail,
    http_port: report.ports?.http,
    longpolling_port: report.ports?.longpolling,
    instance_url: report.instanceUrl,
    log: report.log,
    next_review: report.nextReview,
    seconds_to_ready: report.secondsToReady,
    commits: report.commits,
    image_digest: report.imageDigest,
    given_modules: report.givenModules,
    subscription: report.subscription && subscriptionRow(report.subscription),
    active: report.active,
    adopted: report.adopted,
    asleep: report.isAsleep,
    last_request_at: report.lastRequestAt,
    wake_at: report.wakeAt,
  };
}

/** One instance as `microsaas_adopt` takes it. */
export function markedRow(
  found: MarkedInstance & { readonly running: boolean; readonly hasData: boolean },
) {
  const { soldAs } = found;
  return {
    id: found.id,
    identity: found.identity,
    name: found.name,
    template_code: found.templateCode,
    subdomain: found.subdomain,
    http_port: found.ports?.http ?? 0,
    longpolling_port: found.ports?.longpolling ?? 0,
    restart_count: found.restartCount,
    running: found.running,
    was_ready: found.hasData,
    repositories: found.repositories.map(({ isOfPlan, ...rest }) => ({
      ...rest,
      of_plan: isOfPlan,
    })),
    sold_as: soldAs && { line_id: soldAs.lineId, unit: soldAs.unit, made_at: soldAs.madeAt },
  };
}
