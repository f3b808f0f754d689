import type { Invoice, InvoiceLine } from '../../src/billing/invoice-types.ts';
import type { DesiredInstance, Key } from '../../src/instance/types.ts';
import type { FakeManager } from './manager.ts';

export type Button = 'start' | 'stop' | 'restart' | 'remove';

/**
 * The actions of users in the manager Odoo. Each ends with a webhook to the sidecar, as the addon's do; a webhook may be lost, and
 * then the next poll finds the change.
 */
export class FakePeople {
  readonly #manager: FakeManager;
  /** Receives the webhooks; a test may drop them. */
  nudge: (key: Key) => void = () => {};

  constructor(manager: FakeManager) {
    this.#manager = manager;
  }

  /** Sells units of a plan and pays the invoice. @returns the invoice's id. */
  pay(quantity = 1, line: Partial<InvoiceLine> = {}): number {
    const id = this.#manager.issue({}, { quantity, ...line });
    this.nudge(`invoice:${id}`);
    return id;
  }

  /** Approves a held invoice. */
  approve(invoiceId: number): void {
    this.change(invoiceId, { approved: true, hold: '' });
  }

  /** Anything else that happens to an invoice: credited, reset, paid again. */
  change(invoiceId: number, change: Partial<Invoice>): void {
    this.#manager.changeInvoice(invoiceId, change);
    this.nudge(`invoice:${invoiceId}`);
  }

  /** Fills in the instance form and saves it, without pressing *Start*. @returns the instance's id. */
  create(wish: Partial<DesiredInstance> = {}): number {
    const id = this.#manager.insert({ desiredState: 'draft', ...wish });
    this.nudge(`instance:${id}`);
    return id;
  }

  /** Makes a staging copy of an instance. @returns the copy's id. */
  stage(of: number, snapshot = 'ab'.repeat(32)): number {
    const original = this.#manager.rows.get(of);
    if (!original) throw new Error(`no instance ${of}`);
    const { identity, partnerId, templateCode } = original;
    const id = this.#manager.insert({
      ...{ partnerId, templateCode, desiredState: 'running', subscription: null },
      copyOf: { id: of, identity, snapshot },
    });
    this.nudge(`instance:${id}`);
    return id;
  }

  /** @returns false when the form refuses: removal is final, and what never started cannot be stopped. */
  press(id: number, button: Button): boolean {
    const row = this.#manager.rows.get(id);
    if (!row || row.desiredState === 'removed') return false;
    if (row.desiredState === 'draft' && button !== 'start' && button !== 'remove') return false;
    if (button === 'start' && !row.wasReady) row.requestedAt = this.#manager.now().getTime() / 1000;
    if (button === 'restart') row.restartCount += 1;
    // Who presses it wants to see it run, as a visitor does.
    if (WISH[button] === 'running') row.lastRequestAt = this.#manager.now().getTime() / 1000;
    row.desiredState = WISH[button];
    row.revision += 1;
    this.#manager.review(id, this.#manager.now());
    this.nudge(`instance:${id}`);
    return true;
  }
}

const WISH = { start: 'running', stop: 'stopped', restart: 'running', remove: 'removed' } as const;
