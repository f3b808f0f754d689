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
 * The life of one subscription in held time: what people and money do, each followed by a look of the sidecar as
 * the controller has it, with as many looks as the policy asks for. Days are days in UTC, looks are at noon.
 */
export class Story {
  subscription: Subscription;
  wish: DesiredState = 'running';
  today: string;
  /** Every notice that was sent, in order. */
  readonly sent: Notice[] = [];
  /** Copies of the data that were verified. */
  archives = 0;
  isDayCertain = true;
  /** When the sidecar looks again by itself; '' for never. */
  reviewDay = '';
  /** The subscription and the wish as they were when there was nothing more to do. */
  #seenSubscription: Subscription | null = null;
  #seenWish: DesiredState | null = null;

  constructor(today = '2026-01-10', terms: Partial<Terms> = {}) {
    this.today = today;
    this.subscription = aSubscription({ terms: { ...TERMS, ...terms }, periods: [aPeriod()] });
  }

  get runs(): boolean {
    const { dataRemovedAt, suspendedAt } = this.subscription;
    return this.wish === 'running' && !suspendedAt && !dataRemovedAt;
  }

  /** One look: at most one rung. @returns whether another look is due at once. */
  look(): boolean {
    const verdict = this.decide();
    const { change, stage } = verdict;
    this.reviewDay = verdict.reviewAt?.toISOString().slice(0, 10) ?? '';
    if (stage === 'archive') {
      this.archives += 1;
      this.write({ ...change, archivedAt: this.#noon });
    } else if (change) this.write(change);
    return change !== null || stage !== null;
  }

  /** Looks until nothing changes any more. */
  settle(): this {
    for (let looks = 0; this.look(); looks++) if (looks > 20) throw new Error('it never settles');
    this.#seenSubscription = this.subscription;
    this.#seenWish = this.wish;
    return this;
  }

  /** Whether the sidecar has a reason to look: something has changed, or the day has come that it named. */
  get isDue(): boolean {
    const hasNews = this.subscription !== this.#seenSubscription || this.wish !== this.#seenWish;
    return hasNews || (this.reviewDay !== '' && this.reviewDay <= this.today);
  }

  decide(): Verdict {
    const desired = anInstance({
      desiredState: this.wish,
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

  /** Days pass, with a look on each for which the sidecar has a reason. */
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

  press(wish: DesiredState): this {
    this.wish = wish;
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

  /** The same, and nobody has looked yet. */
  pay(over: Partial<Period> = {}): void {
    const lineId = 100 + this.subscription.periods.length;
    const period = aPeriod({ lineId, isFirst: false, sold: null, ...over });
    this.subscription = { ...this.subscription, periods: [...this.subscription.periods, period] };
  }

  /** Something happens to the money of a line, the newest unless another is named. */
  money(change: Partial<Money>, lineId?: number): this {
    this.moveMoney(change, lineId);
    return this.settle();
  }

  /** The same, and nobody has looked yet. */
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
