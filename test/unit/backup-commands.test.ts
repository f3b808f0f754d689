import { expect } from 'chai';
import { backupTable, findBackup, makeStaging, runJob } from '../../src/backup-commands.ts';
import { TerminalError } from '../../src/errors.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import type { OdooManager } from '../../src/manager/manager.ts';
import { anInstance } from '../support/samples.ts';

const backup = (digits: string, proof: 'none' | 'data' | 'failed' = 'data') => ({
  ...{ snapshot: digits.padEnd(64, '0'), date: new Date('2026-11-27T02:00:00Z'), proof },
  ...{ bytes: 3 * 2 ** 20, isByHand: false, proofDate: null, detail: '' },
  reason: proof === 'failed' ? ('BackupDamaged' as const) : ('' as const),
});

describe('the commands about backups', () => {
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
    } as unknown as OdooManager;
    const lines: string[] = [];
    const print = (line: string) => void lines.push(line);
    const ended = await runJob({ manager }, { id: 1 }, 'backup', '', print).then(
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
        desired: async () => {
          const over = states[Math.min(asked++, states.length - 1)];
          return [anInstance({ id: 9, wasReady: false, state: 'draft', ...over })];
        },
      } as unknown as OdooManager;
      const lines: string[] = [];
      const print = (line: string) => void lines.push(line);
      const copy = await makeStaging({ manager }, { id: 1 }, 'ab', print).catch((error) => error);
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
});
