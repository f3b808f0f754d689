import { expect } from 'chai';
import { RetryableError } from '../../../src/errors.ts';
import { type FakeHost, fakeHost, INSTALL } from './fake-host.ts';

const errorOf = (promise: Promise<unknown>) => promise.then(() => null).catch((thrown) => thrown);

describe('waiting for the first answer of an instance', () => {
  const suite = fakeHost();
  const host = (): FakeHost => suite.host();
  const fresh = () => host().wish({ wasReady: false });

  it('ends with the first page that is the login', async () => {
    const statuses = [502, 303, 200];
    const asked: string[] = [];
    suite.answer = ({ url = '' }, response) => {
      asked.push(url);
      response.writeHead(statuses.shift() ?? 200).end();
    };
    await host().awaitAnswer(fresh());
    expect(asked).to.deep.equal(['/web/health', '/web/login', '/web/login']);
  });

  it('asks for no page before Odoo listens, and lets others be served first', async () => {
    const asked: string[] = [];
    let attempts = 0;
    suite.answer = ({ url = '', socket }, response) => {
      if (++attempts < 3) socket.destroy();
      else {
        asked.push(url);
        response.writeHead(200).end();
      }
    };
    await host().awaitAnswer(fresh(), undefined, async () => {
      asked.push('others are served');
    });
    expect(asked).to.deep.equal(['/web/health', 'others are served', '/web/login']);
  });

  const LAST_WORDS = 'the last words of Odoo';
  const LAST_WORDS_ALONE = /^the last words of Odoo$/;
  /** What becomes of instances that never answer; all wait at once, for a container is looked at only after a second. */
  const SILENT: ReadonlyArray<{
    readonly when: string;
    readonly wasReady: boolean;
    /** null: it is gone. */
    readonly container: { readonly state: string; readonly restarts?: number } | null;
    /** The error's reason; null: whoever waits is to look again. */
    readonly reason: string | null;
    /** null: Docker has none. */
    readonly log?: string | null;
    /** What of the log goes with the error: its end, and nothing that a terminal obeys. */
    readonly tail?: RegExp;
  }> = [
    { when: 'it runs', wasReady: false, container: { state: 'running' }, reason: 'NotAnswering' },
    { when: 'it runs', wasReady: true, container: { state: 'running' }, reason: 'NotAnswering' },
    {
      when: 'it ended',
      wasReady: false,
      container: { state: 'exited' },
      reason: 'EndedWhileStarting',
    },
    {
      ...{ when: 'it ended after many words', wasReady: false, container: { state: 'exited' } },
      ...{ reason: 'EndedWhileStarting', log: `${'x'.repeat(5_000)}\u001b[31mred` },
      tail: /^x{1992}\ufffd\[31mred$/,
    },
    {
      ...{ when: 'nobody has its log', wasReady: false, container: { state: 'exited' } },
      ...{ reason: 'EndedWhileStarting', log: null, tail: /No such container/ },
    },
    { when: 'it is gone', wasReady: false, container: null, reason: 'EndedWhileStarting' },
    { when: 'somebody stopped it', wasReady: true, container: { state: 'exited' }, reason: null },
    { when: 'somebody removed it', wasReady: true, container: null, reason: null },
    ...[false, true].flatMap((wasReady) => [
      {
        when: 'it ends again and again',
        ...{ wasReady, container: { state: 'restarting', restarts: 3 }, reason: 'CrashLoop' },
      },
      {
        when: 'it ended twice',
        ...{ wasReady, container: { state: 'restarting', restarts: 2 }, reason: 'NotAnswering' },
      },
    ]),
  ];
  it('ends for one that does not answer by what its container is, with its log for the operator alone', async function () {
    this.timeout(10_000);
    suite.answer = ({ socket }) => void socket.destroy();
    const ends = SILENT.map(async (row, index) => {
      const { container, log = LAST_WORDS, reason, tail = LAST_WORDS_ALONE, wasReady, when } = row;
      const desired = host().wish({ id: 11 + index, wasReady });
      host().docker.standIn(INSTALL, desired.id, container);
      if (log !== null) host().docker.logs.set(`ms-${INSTALL}-${desired.id}-odoo`, log);
      const error = await errorOf(host().awaitAnswer(desired));
      const about = `${when}, ${wasReady ? 'having run before' : 'for the first time'}`;
      expect(error?.reason ?? null, about).to.equal(reason);
      if (reason === null) return;
      expect(error, about).to.be.instanceOf(RetryableError);
      expect(error.cause.message, about).to.match(tail);
      expect(error.message, about).not.to.include(LAST_WORDS);
    });
    await Promise.all(ends);
  });

  it('ends at once when the sidecar stops', async () => {
    suite.answer = ({ socket }) => void socket.destroy();
    const stop = new AbortController();
    const waiting = host().awaitAnswer(fresh(), stop.signal);
    stop.abort(new Error('SIGTERM'));
    expect(await waiting.catch((thrown: unknown) => thrown)).to.have.property('message', 'SIGTERM');
  });
});

describe('watching Docker', () => {
  const suite = fakeHost();

  it('tells which instance has changed, that something may have been missed, and goes on after a cut', async function () {
    this.timeout(10_000);
    const stop = new AbortController();
    const told: Array<number | null> = [];
    const { api } = suite.host().docker;
    let streams = 0;
    api.events = async (label, opened, happened) => {
      expect(label).to.equal('microsaas.install=k3x9ab');
      streams += 1;
      opened();
      if (streams === 2) return stop.abort();
      happened({ 'microsaas.instance': '7' });
      happened({ 'microsaas.helper': 'compile' });
      throw new RetryableError('DockerUnavailable', 'The stream was cut.');
    };
    await suite.host().engine.watch((id) => told.push(id), stop.signal);
    expect(told).to.deep.equal([null, 7, null]);
  });
});
