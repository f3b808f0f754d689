import { expect } from 'chai';
import { Reporter } from '../../../src/controller/reporter.ts';
import { ManagerError } from '../../../src/errors.ts';
import type { Report } from '../../../src/instance/types.ts';
import { HeldTime } from '../../fakes/clock.ts';
import { FakeManager } from '../../fakes/manager.ts';

describe('Reporter', () => {
  let time: HeldTime;
  let sent: Array<readonly Report[]>;
  /** Ends the call under way. */
  let answer: { ok(): void; fail(): void; refuse(): void };
  let lost: unknown[];
  let reporter: Reporter;

  beforeEach(() => {
    time = new HeldTime();
    sent = [];
    lost = [];
    const manager = new FakeManager({ now: time.now });
    manager.report = (reports) => {
      sent.push(reports);
      return new Promise((resolve, reject) => {
        answer = {
          ok: resolve,
          fail: () => reject(new Error('away')),
          refuse: () => reject(new ManagerError('validation', 'refused')),
        };
      });
    };
    reporter = new Reporter(manager, (error) => lost.push(error));
  });
  afterEach(() => time.release());

  const report = (id: number, over: Partial<Report> = {}): Report => ({ id, revision: 1, ...over });

  it("sends several instances' reports in one call", async () => {
    const delivered = Promise.all([reporter.report(report(1)), reporter.report(report(2))]);
    await time.pass(20);
    answer.ok();
    await delivered;
    expect(sent).to.deep.equal([[report(1), report(2)]]);
  });

  it('merges reports about one instance: later values win, no log line is lost', async () => {
    reporter.progress(report(1, { reason: 'Starting', detail: 'a', log: ['one'] }));
    await time.pass(100);
    reporter.progress(report(1, { reason: 'WaitingForAnswer', log: ['two'] }));
    void reporter.report(report(1, { revision: 2, state: 'running', log: ['three'] }));
    await time.pass(20);
    const log = ['one', 'two', 'three'];
    const all = { revision: 2, state: 'running', reason: 'WaitingForAnswer', detail: 'a' } as const;
    expect(sent).to.deep.equal([[report(1, { ...all, log })]]);
    answer.ok();
    await time.pass(1_000);
    expect(sent, 'nothing is told twice').to.have.length(1);
  });

  it('drops the next review of an earlier revision', async () => {
    void reporter.report(report(1, { state: 'running', nextReview: new Date(86_400_000) }));
    reporter.progress(report(1, { revision: 2, reason: 'Starting' }));
    void reporter.report(report(1, { revision: 2, detail: 'a' }));
    await time.pass(20);
    const all = {
      revision: 2,
      state: 'running',
      reason: 'Starting',
      detail: 'a',
    } as const;
    expect(sent).to.deep.equal([[report(1, all)]]);
    answer.ok();
  });

  it('sends progress after a quarter of a second, only the latest', async () => {
    for (const detail of ['first', 'second', 'third']) {
      reporter.progress(report(1, { detail }));
      await time.pass(100);
    }
    expect(sent).to.deep.equal([[report(1, { detail: 'third' })]]);
  });

  it('sends one call after the other, in order', async () => {
    void reporter.report(report(1, { detail: 'first' }));
    await time.pass(20);
    void reporter.report(report(1, { detail: 'second' }));
    await time.pass(10_000);
    expect(sent, 'while the first is under way').to.have.length(1);
    answer.ok();
    await time.pass(0);
    expect(sent.flat().map(({ detail }) => detail)).to.deep.equal(['first', 'second']);
  });

  it('sends a refused batch one by one, so that one bad report does not block the others', async () => {
    const good = reporter.report(report(1));
    const bad = reporter.report(report(2)).catch((error: Error) => error);
    await time.pass(20);
    answer.refuse();
    await time.pass(0);
    answer.ok();
    await time.pass(0);
    answer.refuse();
    await good;
    expect(await bad).to.be.instanceOf(ManagerError);
    expect(sent).to.deep.equal([[report(1), report(2)], [report(1)], [report(2)]]);
  });

  it('continues after a failed call', async () => {
    reporter.progress(report(1));
    await time.pass(280);
    const second = reporter.report(report(2));
    answer.fail();
    await time.pass(20);
    answer.ok();
    await second;
    expect(lost).to.have.length(1);
  });

  it('rejects the reports that were not delivered, and no others', async () => {
    const failed = reporter.report(report(1)).then(
      () => 'delivered',
      (error: Error) => error.message,
    );
    await time.pass(20);
    answer.fail();
    expect(await failed).to.equal('away');
    expect(lost).to.deep.equal([]);
  });
});
