import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { MANAGER } from '../../../src/backups/backup-keys.ts';
import {
  type ManagerRestoreOptions,
  restoreManager,
} from '../../../src/backups/manager-restore.ts';
import { CommandError } from '../../../src/errors.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const PLACE = {
  ...{ container: 'm', filestores: '/f', socketDir: '/s', role: 'odoo', password: 'p' },
};

describe('a restore of the manager', () => {
  const { signal } = new AbortController();
  const folder = temporaryFolder();
  /** The databases of the server, and whether Odoo runs. */
  let databases: string[];
  let filestores: string[];
  let runs: boolean;
  let second: number;
  let said: string[];
  let done: string[];
  /** Fails, or ends the process, at the step that says so. */
  let failsAt: string;

  const step = (name: string) => {
    done.push(name);
    if (name.startsWith(failsAt) && failsAt) throw new CommandError(['psql'], 1, `ERROR: ${name}`);
  };
  const rename = (all: string[], from: string, to: string) =>
    all.map((one) => (one === from ? to : one));

  const options = (): ManagerRestoreOptions => ({
    ...{ database: 'manager', folder: folder() },
    now: () => {
      second += 1;
      return new Date(Date.UTC(2026, 10, 27, 2, 0, second));
    },
    place: async () => ({ ...PLACE, isRunning: runs }),
    admin: async () => ({ role: 'microsaas', password: 'a' }),
    store: {
      inRestored: async (_owner, _snapshot, signal, work) => {
        const from = join(folder(), 'restored');
        mkdirSync(join(from, 'filestores', 'their_name'), { recursive: true });
        mkdirSync(join(from, 'configuration', 'etc'), { recursive: true });
        writeFileSync(join(from, 'configuration', 'etc', 'api-key'), 'key');
        const manifest = {
          ...{ format: 1, install: 'k3x9ab', instance: 0, identity: MANAGER.identity },
          ...{ name: 'manager', template: '', modules: [], image: '', database: 'their_name' },
          ...{ url: '', rows: {}, writtenAt: '2026-11-27T02:00:00Z' },
        };
        writeFileSync(join(from, 'manifest.json'), JSON.stringify(manifest));
        return work(from, signal);
      },
    },
    tools: {
      restore: async ({ database, role }) => step(`fill ${database} as ${role}`),
      run: async (login, _folder, statements) => {
        expect(login).to.include({ database: 'postgres', role: 'microsaas' });
        for (const statement of statements) {
          step(statement.split(' ').slice(0, 2).join(' '));
          for (const [, from = '', to = ''] of statement.matchAll(/"(\w+)" RENAME TO "(\w+)"/g)) {
            expect(runs, 'Odoo runs while its database gets another name').to.equal(false);
            databases = rename(databases, from, to);
          }
          const [, dropped] = /^DROP DATABASE IF EXISTS "(\w+)"/.exec(statement) ?? [];
          databases = databases.filter((one) => one !== dropped);
          const [, made] = /^CREATE DATABASE "(\w+)" OWNER "odoo"/.exec(statement) ?? [];
          if (made) databases.push(made);
        }
        const [, asked = ''] = /datname = '(\w+)'$/.exec(statements.at(-1) ?? '') ?? [];
        return databases.includes(asked) ? '1' : '';
      },
    },
    files: {
      bring: async (_place, from, name) => {
        step(`bring ${from.split('/').at(-1)}`);
        filestores = [...filestores.filter((one) => one !== name), name];
      },
      has: async (_place, name) => filestores.includes(name),
      rename: async (_place, from, to) => {
        step(`rename ${from}`);
        expect(filestores).not.to.include(to);
        filestores = rename(filestores, from, to);
      },
    },
    stop: async () => {
      runs = false;
    },
    start: async () => {
      runs = true;
    },
  });
  const restore = (snapshot = 'a'.repeat(64)) =>
    restoreManager(options(), snapshot, (line) => said.push(line), signal);
  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => error.reason ?? error,
    );

  beforeEach(() => {
    [databases, filestores, runs, done, failsAt] = [['manager'], ['manager'], true, [], ''];
    [second, said] = [-1, []];
  });

  it('is made beside what is there, put in its place while Odoo is stopped, and keeps what was there', async () => {
    const { before, configuration } = await restore();
    expect(before).to.equal('manager_before_20261127020000');
    expect(databases).to.have.members(['manager', before]);
    expect(filestores).to.have.members(['manager', before]);
    expect(runs).to.equal(true);
    expect(done).to.include.members(['fill manager_restored as odoo', 'bring their_name']);
    expect(await readFile(join(configuration, 'etc', 'api-key'), 'utf8')).to.equal('key');
  });

  it('makes the database where there is none', async () => {
    [databases, filestores] = [[], []];
    expect((await restore()).before).to.equal('');
    expect(databases).to.deep.equal(['manager']);
    expect(filestores).to.deep.equal(['manager']);
  });

  it('that cannot be made stops nothing and changes nothing', async () => {
    failsAt = 'fill';
    expect(await reasonOf(restore())).to.equal('ProofDatabase');
    expect(done.some((one) => one.startsWith('rename'))).to.equal(false);
    expect([databases.includes('manager'), runs]).to.deep.equal([true, true]);
    failsAt = '';
    await restore();
    expect(databases).to.have.length(2).and.include('manager');
  });

  it('that fails while Odoo is stopped starts it again with what was there', async () => {
    failsAt = 'ALTER DATABASE';
    expect(await reasonOf(restore())).to.equal('BackupFailed');
    expect(runs).to.equal(true);
    expect(databases).to.include('manager');
    expect(filestores).to.include('manager');
  });

  for (const moment of ['DROP', 'CREATE', 'fill', 'bring', 'SELECT', 'rename manager', 'rename'])
    it(`cut off at “${moment}” is repeated, and loses nothing that was there`, async () => {
      failsAt = moment;
      await restore().catch(() => {});
      [failsAt, runs] = ['', true];
      const { before } = await restore();
      expect(databases).to.include('manager').and.not.include('manager_restored');
      expect(filestores).to.include('manager').and.not.include('manager_restored');
      expect(databases).to.include(before);
    });

  const ORIGINAL = 'manager_before_20261127020000';

  for (const moment of ['rename manager', 'rename manager_restored'])
    it(`killed at “${moment}” is finished by its repetition, and what was there has one name`, async () => {
      failsAt = moment;
      await restore().catch(() => {});
      // Nobody starts Odoo after a kill.
      [failsAt, runs, done] = ['', false, []];
      expect((await restore()).before).to.equal(ORIGINAL);
      expect(databases).to.have.members(['manager', ORIGINAL]);
      expect(filestores).to.have.members(['manager', ORIGINAL]);
      expect(runs).to.equal(true);
      expect(
        done.some((one) => one.startsWith('fill')),
        'restored once',
      ).to.equal(false);
      expect(said.at(-1)).to.equal('finishing a restore that was interrupted');
    });

  for (const [what, snapshot, isUsed] of [
    ['by another backup', 'b'.repeat(64), false],
    ['after people have worked since', 'a'.repeat(64), true],
  ] as const)
    it(`killed and repeated ${what} is finished first, and each that was there has its name`, async () => {
      failsAt = 'rename manager';
      await restore().catch(() => {});
      [failsAt, runs] = ['', isUsed];
      const { before } = await restore(snapshot);
      expect(said).to.include(`what was there before that one is kept as the database ${ORIGINAL}`);
      expect(before)
        .to.match(/^manager_before_/)
        .and.not.equal(ORIGINAL);
      expect(databases).to.have.members(['manager', ORIGINAL, before]);
      expect(filestores).to.have.members(['manager', ORIGINAL, before]);
    });

  it('is asked of a person where Odoo has made other files after the kill', async () => {
    failsAt = 'rename manager_restored';
    await restore().catch(() => {});
    failsAt = '';
    filestores.push('manager');
    const there = [...filestores];
    const error = await restore().catch((thrown) => thrown);
    expect(error).to.have.property('reason', 'BackupFailed');
    expect(error.detail).to.include(`manager, ${ORIGINAL}, manager_restored are all in /f`);
    expect(filestores).to.deep.equal(there);
    expect(runs).to.equal(true);
  });
});
