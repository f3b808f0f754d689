import type { Invoice, InvoiceLine } from '../../src/billing/invoice-types.ts';
import type { Period, Subscription, Terms } from '../../src/billing/subscription-types.ts';
import type {
  DesiredInstance,
  ObservedInstance,
  Plan,
  Repository,
  Spare,
} from '../../src/instance/types.ts';
import type { HostUse } from '../../src/instance/use.ts';
import type { Measured } from '../../src/interfaces.ts';

/*
 * One sample of each type. A test overrides what matters in it.
 */

export const TERMS: Terms = {
  notice: 7,
  grace: 3,
  retention: 30,
  finalNotice: 7,
  refund: 'suspend',
  reconsider: 24,
  free: '',
};

/** The first month, paid and not applied yet. */
export function aPeriod(over: Partial<Period> = {}): Period {
  return {
    lineId: 31,
    isFirst: true,
    months: 1,
    money: { moveType: 'out_invoice', state: 'posted', paymentState: 'paid', reversedRatio: 0 },
    sold: { unit: 1, quantity: 1, removed: [] },
    replaces: 0,
    paidAt: null,
    applied: null,
    missingSince: null,
    ...over,
  };
}

/** Paid, and its instance has not run yet. */
export function aSubscription(over: Partial<Subscription> = {}): Subscription {
  return {
    id: 1,
    state: 'draft',
    startDay: '',
    endDay: '',
    reason: '',
    terms: TERMS,
    periods: [aPeriod()],
    sentNotices: [],
    suspendedAt: null,
    finalNoticeAt: null,
    archivedAt: null,
    dataRemovedAt: null,
    removedAt: null,
    ...over,
  };
}

/** An identity for an instance id. @param life which one: after a restore the same id may be given out again */
export function identityOf(id: number, life = 0): string {
  const digits = (number: number, length: number) => number.toString(16).padStart(length, '0');
  return `${digits(life, 8)}-0000-4000-8000-${digits(id, 12)}`;
}

/** Paid, running, with ports, and it has answered before. */
export function anInstance(over: Partial<DesiredInstance> = {}): DesiredInstance {
  return {
    id: 7,
    identity: identityOf(over.id ?? 7),
    mayAdopt: false,
    soldAs: null,
    name: 'Odoo Panadería Ñandú',
    state: 'running',
    reason: 'Running',
    desiredState: 'running',
    revision: 1,
    restartCount: 0,
    wasReady: true,
    endsWithoutArchive: false,
    ports: { http: 20_000, longpolling: 25_000 },
    instanceUrl: '',
    subdomain: 'nandu',
    formerSubdomains: [],
    domains: [],
    templateCode: 'odoo',
    imageDigest: '',
    sleepHours: 0,
    isAsleep: false,
    lastRequestAt: 0,
    wakeAt: 0,
    memoryMb: 0,
    cpus: 0,
    userLimit: null,
    modules: [],
    givenModules: [],
    repositories: [],
    customer: {
      name: 'Ana Ñandú',
      companyName: 'Panadería Ñandú',
      email: 'ana@example.com',
      lang: 'es_ES',
      countryCode: 'ES',
    },
    partnerId: 12,
    supportUntil: 0,
    requestedAt: 1_795_348_000,
    subscription: aSubscription(),
    copyOf: null,
    job: null,
    spare: 'no',
    companyTimeZone: 'Europe/Madrid',
    inPaymentIsPaid: true,
    managerTime: new Date('2026-11-22T12:00:00Z'),
    ...over,
  };
}

export function aRepository(over: Partial<Repository> = {}): Repository {
  return {
    id: 1,
    url: 'https://git.example.com/x',
    branch: '19.0',
    commit: '',
    isOfPlan: false,
    ...over,
  };
}

/** Observed: everything exists, runs and answers. */
export function anObservation(over: Partial<ObservedInstance> = {}): ObservedInstance {
  return {
    directory: 'own',
    containerOwner: 'own',
    checkouts: 'current',
    files: 'current',
    data: 'whole',
    database: 'ready',
    containers: 'running',
    answering: true,
    hung: false,
    preparedJob: '',
    isHandedOver: true,
    appsList: 'current',
    limits: 'current',
    ...over,
  };
}

/** One unit of an automatic plan, not claimed yet. */
export function aPlanLine(over: Partial<InvoiceLine> = {}): InvoiceLine {
  return {
    id: 31,
    displayType: 'product',
    quantity: 1,
    priceSubtotal: 30,
    isPlan: true,
    provision: 'automatic',
    planSince: '2026-01-01',
    isSincePlan: true,
    mayRenew: [],
    triedBefore: [],
    claimedUnits: [],
    backlog: 1,
    ...over,
  };
}

/** A customer's invoice, posted and paid. */
export function anInvoice(over: Partial<Invoice> = {}): Invoice {
  return {
    id: 3,
    name: 'INV/2026/00003',
    moveType: 'out_invoice',
    state: 'posted',
    paymentState: 'paid',
    inPaymentIsPaid: true,
    invoiceDay: '2026-11-22',
    paidDay: '2026-11-22',
    partnerId: 12,
    approved: false,
    hold: '',
    reversedRatio: 0,
    unlinkedCredit: '',
    lines: [aPlanLine()],
    instanceIds: [],
    ...over,
  };
}

export function aPlan(over: Partial<Plan> = {}): Plan {
  return {
    id: 5,
    templateCode: 'odoo',
    content: 'a1',
    modules: ['sale_management'],
    repositories: [],
    languages: ['es_ES', 'en_US'],
    countryCode: 'ES',
    spares: 0,
    recentSales: 0,
    spareContent: 'b1',
    ...over,
  };
}

/** A spare that is kept ready, in English and Spanish. */
export function aSpare(over: Partial<Spare> = {}): Spare {
  const nobody = { name: '', companyName: '', email: '', lang: 'es_ES', countryCode: 'ES' };
  return {
    ...anInstance({ ...over, state: 'draft', wasReady: false, customer: nobody }),
    ...{ spare: 'kept', subdomain: '', subscription: null, partnerId: 0, name: 'Spare' },
    planId: 5,
    languages: ['en_US', 'es_ES'],
    spareState: 'making',
    isFresh: true,
    ...over,
  };
}

/** What a small instance uses, on the shared Postgres. */
export function aMeasure(over: Partial<Measured> = {}): Measured {
  return {
    identity: identityOf(1),
    fileBytes: 30 * 2 ** 20,
    databaseBytes: 20 * 2 ** 20,
    isDatabaseAFile: false,
    users: 3,
    memoryBytes: 200 * 2 ** 20,
    cpuSeconds: 100,
    ...over,
  };
}

/** A machine with room for more. */
export function aHost(over: Partial<HostUse> = {}): HostUse {
  return {
    memoryMb: 16_000,
    freeMemoryMb: 8_000,
    diskMb: 200_000,
    freeDiskMb: 100_000,
    shortOf: [],
    ...over,
  };
}
