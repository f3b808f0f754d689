import { addDays } from '../../src/billing/days.ts';
import { decideSubscription, type Verdict } from '../../src/billing/subscription.ts';
import type {
  Money,
  Notice,
  Period,
  Subscription,
  SubscriptionChange,
  Terms,
} from '../../src/billing/subscription-types.ts';
import type { DesiredState } from '../../src/instance/types.ts';
import { applyChange } from '../fakes/apply-change.ts';
import { anInstance, aPeriod, aSubscription, TERMS } from './samples.ts';

const PAID: Money = {
  moveType: 'out_invoice',
  state: 'posted',
  paymentState: 'paid',
  reversedRatio: 0,
};

/**
 * The life of one subscription in simulated time: events (payments, buttons), each followed by as many reviews as the policy asks
 * for, as the controller makes them. Days are days in UTC, reviews are at noon.
 */
export class Story {
  subscription: Subscription;
  desiredState: DesiredState = 'running';
  today: string;
  /** Every notice that was sent, in order. */
  readonly sent: Notice[] = [];
  /** How many verified archives were written. */
  archives = 0;
  isDayCertain = true;
  /** The day of the next review by time alone; '' for never. */
  reviewDay = '';
  /** The subscription and the desired state at the last review that changed nothing. */
  #reviewedSubscription: Subscription | null = null;
  #reviewedState: DesiredState | null = null;

  constructor(today = '2026-01-10', terms: Partial<Terms> = {}) {
    this.today = today;
    this.subscription = aSubscription({ terms: { ...TERMS, ...terms }, periods: [aPeriod()] });
  }

  get runs(): boolean {
    const { dataRemovedAt, suspendedAt } = this.subscription;
    return this.desiredState === 'running' && !suspendedAt && !dataRemovedAt;
  }

  /** One review: at most one stage. @returns whether another review is due at once */
  review(): boolean {
    const verdict = this.decide();
    const { change, stage } = verdict;
    this.reviewDay = verdict.reviewAt?.toISOString().slice(0, 10) ?? '';
    if (stage === 'archive') {
      this.archives += 1;
      this.write({ ...change, archivedAt: this.#noon });
    } else if (change) this.write(change);
    return change !== null || stage !== null;
  }

  /** Reviews until nothing changes any more. */
  settle(): this {
    for (let reviews = 0; this.review(); reviews++)
      if (reviews > 20) throw new Error('it never settles');
    this.#reviewedSubscription = this.subscription;
    this.#reviewedState = this.desiredState;
    return this;
  }

  /** Whether a review is due: something has changed, or the review day has come. */
  get isDue(): boolean {
    const hasNews =
      this.subscription !== this.#reviewedSubscription || this.desiredState !== this.#reviewedState;
    return hasNews || (this.reviewDay !== '' && this.reviewDay <= this.today);
  }

  decide(): Verdict {
    const desired = anInstance({
      desiredState: this.desiredState,
      subscription: this.subscription,
      companyTimeZone: 'UTC',
    });
    return decideSubscription(desired, this.subscription, {
      now: this.#noon,
      isFirstAnswer: this.runs,
      isDayCertain: this.isDayCertain,
    });
  }

  write(change: SubscriptionChange): void {
    this.subscription = applyChange(this.subscription, change);
    this.sent.push(...(change.notices ?? []));
  }

  /** Days pass, with a review on each day on which one is due. */
  pass(days: number): this {
    for (let day = 0; day < days; day++) {
      this.today = addDays(this.today, 1);
      if (this.isDue) this.settle();
    }
    return this;
  }

  /** Days pass while no sidecar runs. */
  sleep(days: number): this {
    this.today = addDays(this.today, days);
    return this;
  }

  press(desiredState: DesiredState): this {
    this.desiredState = desiredState;
    return this.settle();
  }

  cancel(): this {
    this.subscription = { ...this.subscription, state: 'cancelled' };
    return this.settle();
  }

  /** A renewal is invoiced and paid. */
  renew(over: Partial<Period> = {}): this {
    this.pay(over);
    return this.settle();
  }

  /** The same, without a review. */
  pay(over: Partial<Period> = {}): void {
    const lineId = 100 + this.subscription.periods.length;
    const period = aPeriod({ lineId, isFirst: false, sold: null, ...over });
    this.subscription = { ...this.subscription, periods: [...this.subscription.periods, period] };
  }

  /** The payment status of a line changes, of the newest unless another is named. */
  money(change: Partial<Money>, lineId?: number): this {
    this.moveMoney(change, lineId);
    return this.settle();
  }

  /** The same, without a review. */
  moveMoney(change: Partial<Money>, lineId = this.subscription.periods.at(-1)?.lineId): void {
    const periods = this.subscription.periods.map((period) =>
      period.lineId === lineId ? { ...period, money: { ...PAID, ...change } } : period,
    );
    this.subscription = { ...this.subscription, periods };
  }

  refund(lineId?: number): this {
    return this.money({ reversedRatio: 1 }, lineId);
  }

  payAgain(lineId?: number): this {
    return this.money({}, lineId);
  }

  get #noon(): Date {
    return new Date(`${this.today}T12:00:00Z`);
  }
}
