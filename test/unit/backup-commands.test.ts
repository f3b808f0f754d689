import { expect } from 'chai';
import { backupTable, findBackup, makeStaging, runJob } from '../../src/backup-commands.ts';
import { InterruptedError, TerminalError } from '../../src/errors.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import type { OdooManager } from '../../src/manager/manager.ts';
import { anInstance } from '../support/samples.ts';

const backup = (digits: string, proof: 'none' | 'data' | 'failed' = 'data') => ({
  ...{ snapshot: digits.padEnd(64, '0'), date: new Date('2026-11-27T02:00:00Z'), proof },
  ...{ bytes: 3 * 2 ** 20, isByHand: false, proofDate: null, detail: '' },
  reason: proof === 'failed' ? ('BackupDamaged' as const) : ('' as const),
});

const AT = new Date('2026-11-27T02:10:00Z').getTime() / 1000;

/** A manager in which something waits for a sidecar that Odoo has heard of so long ago, in seconds; null: it does not say. */
const waitedFor = (
  heardAgo: number | null,
  steps: ReadonlyArray<readonly [string, string]> = [],
) => {
  let asked = 0;
  const answered = () => steps[Math.min(asked++, steps.length - 1)] ?? ['waiting', ''];
  return {
    ...{ askForJob: async () => 7, askForStaging: async () => 9 },
    handshake: async () => ({ now: AT, heardAt: heardAgo === null ? null : AT - heardAgo }),
    jobProgress: async () => {
      const [state, message] = answered();
      return { state, message, percent: 0 };
    },
    desired: async () => [anInstance({ id: 9, wasReady: false, state: 'draft', reason: '' })],
  } as unknown as OdooManager;
};

describe('the commands about backups', () => {
  const install = 'k3x9ab';
  const { signal } = new AbortController();

  it('find a backup by how its id begins, and the newest proven one as latest', () => {
    const all = [backup('aa'), backup('ab'), backup('b', 'failed'), backup('c', 'none')];
    expect(findBackup('b', all)).to.equal(all[2]);
    expect(findBackup('latest', all)).to.equal(all[1]);
    expect(() => findBackup('a', all)).to.throw(/found 2/);
    expect(() => findBackup('f', all)).to.throw(/found 0/);
    expect(() => findBackup('latest', [])).to.throw(/found 0/);
  });

  it('list them newest first, each with its proof', () => {
    const lines = backupTable([backup('aa'), backup('b', 'failed')]).split('\n');
    expect(lines[0]).to.equal(
      'b00000000000  2026-11-27 02:00        3.0 MB  failed: BackupDamaged',
    );
    expect(lines[1]).to.match(/^aa0+ .*proven \(data\)$/);
    expect(backupTable([])).to.equal('none yet\n');
  });

  it('wait for a job, say each step once, and end with the sentence of its failure', async () => {
    const steps = [
      ['waiting', 'Waiting for its turn.', 0],
      ['running', 'The backup is being made.', 5],
      ['running', 'The backup is being made.', 5],
      ['failed', 'The repository does not answer.\u001b[2J', 0],
    ] as const;
    let asked = 0;
    const manager = {
      askForJob: async () => 7,
      jobProgress: async () => {
        const [state, message, percent] = steps[asked++] ?? steps[3];
        return { state, message, percent };
      },
      handshake: async () => ({ now: AT, heardAt: AT - 90 }),
    } as unknown as OdooManager;
    const lines: string[] = [];
    const print = (line: string) => void lines.push(line);
    const ended = await runJob({ install, manager }, { id: 1 }, 'backup', '', print, signal).then(
      () => 'done',
      (error: Error) => error.message,
    );
    expect(lines).to.deep.equal([
      '  0 %  Waiting for its turn.',
      '  5 %  The backup is being made.',
    ]);
    expect(ended)
      .to.match(/^The repository does not answer\./)
      .and.not.include('\u001b');
  });

  it('wait for a staging copy until it answers, and say why it does not', async () => {
    const staging = async (...states: Array<Partial<DesiredInstance>>) => {
      let asked = 0;
      const manager = {
        askForStaging: async () => 9,
        handshake: async () => ({ now: AT, heardAt: AT - 90 }),
        desired: async () => {
          const over = states[Math.min(asked++, states.length - 1)];
          return [anInstance({ id: 9, wasReady: false, state: 'draft', ...over })];
        },
      } as unknown as OdooManager;
      const lines: string[] = [];
      const print = (line: string) => void lines.push(line);
      const copy = await makeStaging({ install, manager }, { id: 1 }, 'ab', print, signal).catch(
        (error) => error,
      );
      return { copy, lines };
    };
    const made = await staging(
      { reason: 'FetchingBackup' },
      { reason: 'FetchingBackup' },
      { state: 'running' },
    );
    expect(made.copy).to.include({ id: 9, state: 'running' });
    expect(made.lines).to.deep.equal(['FetchingBackup']);
    const failed = await staging({ state: 'error', reason: 'NeutraliseFailed' });
    expect(failed.copy).to.be.instanceOf(TerminalError);
    expect(failed.copy.message).to.equal('instance 9: NeutraliseFailed');
    const gone = await staging({ desiredState: 'removed' });
    expect(gone.copy.message).to.equal('instance 9 was removed meanwhile');
  });

  for (const [heardAgo, said] of [
    [0, null],
    [170, null],
    [null, null],
    [600, /^No sidecar has answered Odoo since 2026-11-27T02:00:00\.000Z: Job 7 waits until one /],
    [AT, /^No sidecar has answered Odoo so far: Job 7 waits until one runs\. Ctrl-C leaves it /],
  ] as const)
    it(`say once that no sidecar has answered, where Odoo last heard of one ${heardAgo} seconds ago: ${said !== null}`, async () => {
      const lines: string[] = [];
      const manager = waitedFor(heardAgo, [
        ['waiting', ''],
        ['waiting', ''],
        ['done', ''],
      ]);
      const print = (line: string) => void lines.push(line);
      await runJob({ install, manager }, { id: 1 }, 'backup', '', print, signal);
      expect(lines).to.have.length(said === null ? 0 : 1);
      if (said) expect(lines[0]).to.match(said);
    });

  for (const [what, wait] of [
    ['Job 7', runJob],
    ['The copy, instance 9,', makeStaging],
  ] as const)
    it(`end at Ctrl-C, and say that it stays and how to see it: ${what}`, async () => {
      const stop = new AbortController();
      const print = () => {};
      const asked = { install, manager: waitedFor(0, [['waiting', '']]) };
      setImmediate(() => stop.abort());
      const waited =
        wait === runJob
          ? runJob(asked, { id: 1 }, 'restore', 'ab', print, stop.signal)
          : makeStaging(asked, { id: 1 }, 'ab', print, stop.signal);
      const error = await waited.catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(InterruptedError);
      const id = wait === runJob ? 1 : 9;
      expect((error as Error).message).to.equal(
        `interrupted. ${what} stays, and the sidecar goes on with it: microsaas status ${id} shows it, and so does the instance in Odoo`,
      );
    });
});
