import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { TerminalError, UsageError } from '../../src/errors.ts';
import { takeOver } from '../../src/host-replaced.ts';
import { restoreTheManager } from '../../src/manager-commands.ts';
import type { Sidecar } from '../../src/wiring.ts';
import { temporaryFolder } from '../support/temporary.ts';

describe('a command that takes something away', () => {
  const { signal } = new AbortController();
  const folder = temporaryFolder();
  const done: string[] = [];
  const backup = {
    ...{ snapshot: 'a'.repeat(64), date: new Date('2026-11-27T02:00:00Z'), bytes: 1 },
    ...{ isByHand: false, proof: 'data', proofDate: null, reason: '', detail: '' },
  };
  const parts = {
    install: 'k3x9ab',
    backups: {
      ofManager: { list: async () => [backup] },
      restoreManager: async () => done.push('restored'),
      claim: {
        replaced: async () => new TerminalError('HostReplaced', 'another host'),
        claim: async () => done.push('taken over'),
      },
    },
  };
  const sidecar = () => ({ ...parts, dataDir: folder() }) as unknown as Sidecar;

  beforeEach(() => writeFileSync(join(folder(), 'install-id'), 'k3x9ab'));

  for (const [what, unconfirmed] of [
    [
      'restore manager',
      () => restoreTheManager(sidecar(), 'latest', false, (line) => done.push(line), signal),
    ],
    ['take-over', () => takeOver(sidecar(), false, signal)],
  ] as const)
    it(`is wrong use without --yes, and does nothing: ${what}`, async () => {
      const error = await unconfirmed().catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(UsageError);
      expect((error as Error).message).to.match(/ Say --yes if that is meant$/);
      expect(done).to.deep.equal([]);
    });
});
