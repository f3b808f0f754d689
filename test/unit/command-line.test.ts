import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { execa } from 'execa';
import { UsageError } from '../../src/errors.ts';
import { findInstance, type ListedInstance } from '../../src/find-instance.ts';
import { execInTerminal } from '../../src/host/exec.ts';
import { shownState } from '../../src/instance/shown-state.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { instanceStatus } from '../../src/instance-status.ts';
import {
  countedByState,
  instanceTable,
  type ListRow,
  problemOf,
} from '../../src/instance-table.ts';
import { listInstances } from '../../src/list-instances.ts';
import { printable, printableBytes } from '../../src/printable.ts';
import type { Sidecar } from '../../src/wiring.ts';
import { FakeDatabases } from '../fakes/databases.ts';
import { FakeEngine } from '../fakes/engine.ts';
import { FakeManager, type Row } from '../fakes/manager.ts';
import { anInstance, aRepository } from '../support/samples.ts';
import { temporaryFolder } from '../support/temporary.ts';

/** The same as the manager says of it in a sweep. */
const known = (row: Row) => ({
  ...row,
  ...{ lastBackupAt: 0, lastProofAt: 0, lastFailureAt: 0, hasJob: false, isCopy: false },
});

const ESCAPE = '\u001b]0;owned\u0007\u001b[2J';

describe('the command line', () => {
  describe('the argument <instance>', () => {
    const all: ListedInstance[] = [
      { id: 3, name: 'Panadería Luna', state: 'running' },
      { id: 4, name: 'Panadería Luna', state: 'removed' },
      { id: 5, name: 'panaderia-sol', state: 'running' },
      { id: 6, name: 'Taller', state: 'stopped' },
      { id: 7, name: 'Taller', state: 'error' },
      { id: 8, name: `Bar${ESCAPE}`, state: 'running' },
      { id: 9, name: '12', state: 'removed' },
    ];
    for (const [text, id] of [
      ['3', 3],
      ['4', 4],
      ['Panadería Luna', 3],
      ['panaderia luna', 3],
      ['luna', 3],
      ['SOL', 5],
      ['bar', 8],
    ] as const)
      it(`${text}: ${id}`, () => expect(findInstance(text, all).id).to.equal(id));

    const complaintOf = (text: string) => {
      try {
        findInstance(text, all);
      } catch (error) {
        expect(error).to.be.instanceOf(UsageError);
        return (error as Error).message;
      }
      return 'found';
    };
    it('is refused when none matches', () => {
      expect(complaintOf('9999')).to.equal('no instance 9999; microsaas ps lists them');
      expect(complaintOf('12'), 'digits are always a number').to.match(/^no instance 12;/);
      expect(complaintOf(`x${ESCAPE}`)).to.equal(
        'no instance named “x]0;owned[2J”; microsaas ps lists them',
      );
    });

    it('is an original rather than its staging copy, which is found by the rest of its name', () => {
      const copyOf = { id: 3 };
      const copy = {
        id: 9,
        name: 'Panadería Luna: staging copy',
        state: 'running',
        copyOf,
      } as const;
      expect(
        findInstance('pan', [{ id: 3, name: 'Panadería Luna', state: 'running' }, copy]).id,
      ).to.equal(3);
      expect(findInstance('luna: staging', [...all, copy]).id).to.equal(9);
    });

    it('lists the matches when there are several', () => {
      expect(complaintOf('Taller')).to.equal(
        '2 instances fit “Taller”; give the number of one:\n  6  Taller\n  7  Taller',
      );
      expect(complaintOf('panader')).to.match(/^2 instances fit/);
    });
  });

  const NOW = new Date('2026-11-27T06:00:00Z');
  const UP = {
    ...{ running: true, up: true, httpPort: 20_000, hasOwnDatabase: false },
    containers: ['container-1'],
  };
  const aRow = (over: Partial<DesiredInstance> = {}, rest: Partial<ListRow> = {}): ListRow => ({
    ...{ desired: anInstance(over), since: 0, memoryBytes: null, listed: UP },
    ...rest,
  });

  it('lists instances in error first, without control characters', () => {
    const companyName = 'x'.repeat(60);
    const customer = { ...anInstance().customer, companyName };
    const name = `${ESCAPE}Sol\u202e`;
    const table = instanceTable(
      [
        aRow(
          { id: 5, name: 'Luna', instanceUrl: 'http://127.0.0.1:20000' },
          { since: NOW.getTime() / 1000 - 3 * 86_400, memoryBytes: 312 * 2 ** 20 },
        ),
        aRow({ id: 12, name, state: 'error', reason: 'NotEnoughDisk', customer }),
      ],
      NOW,
    );
    expect(table.split('\n')).to.deep.equal([
      'ID  NAME            CUSTOMER                                  STATE                 SINCE   MEMORY  ADDRESS',
      `12  ]0;owned[2JSol  ${'x'.repeat(39)}…  error: NotEnoughDisk  -       -       -`,
      '5   Luna            Panadería Ñandú                           running               3 days  312 MB  http://127.0.0.1:20000',
      '',
    ]);
  });

  describe('what needs a person', () => {
    const minutes = (count: number) => ({ since: NOW.getTime() / 1000 - count * 60 });
    const STOPPED = { state: 'stopped', desiredState: 'stopped', reason: 'Stopped' } as const;
    const DOWN = { listed: undefined };
    for (const [what, row, expected] of [
      ['one that runs', aRow(), null],
      ['an error', aRow({ state: 'error', reason: 'CrashLoop' }), 'error: CrashLoop'],
      ['a start', aRow({ state: 'draft', reason: 'Starting' }, minutes(14)), null],
      [
        'a start that does not end',
        aRow({ state: 'draft', reason: 'Starting' }, minutes(16)),
        'preparing: Starting',
      ],
      ['a start of an older addon', aRow({ state: 'draft', reason: 'Starting' }), null],
      ['containers that do not run', aRow({}, DOWN), 'running, its containers are not'],
      ['one of whose containers nobody knows', aRow({}, { listed: null }), null],
      ['one that is asleep', aRow({ isAsleep: true, reason: 'Asleep' }, DOWN), null],
      ['one that is stopped', aRow(STOPPED, DOWN), null],
      ['containers that should not run', aRow(STOPPED), 'stopped, its containers are up'],
      [
        'containers of one that is suspended',
        aRow({ state: 'stopped', reason: 'Expired' }),
        'suspended, its containers are up',
      ],
    ] as const)
      it(`${what}: ${expected ?? 'nothing'}`, () => expect(problemOf(row, NOW)).to.equal(expected));
  });

  describe('with a manager and Docker', () => {
    const setUp = () => {
      const manager = new FakeManager({ now: () => NOW });
      const engine = new FakeEngine();
      const databases = new FakeDatabases(() => true);
      const memory = new Map([[2, 100 * 2 ** 20]]);
      const memoryUse = async () => memory;
      const parts = { manager, engine, databases, memoryUse, certificates: null };
      const backups = { isNightly: false, restores: { prepared: async () => '' } };
      manager.insert({ name: 'Gone', state: 'removed', desiredState: 'removed' });
      manager.insert({ name: 'Luna', state: 'running', desiredState: 'running' });
      return { manager, engine, parts: { ...parts, backups } as unknown as Sidecar };
    };

    it('ps leaves out what is removed, unless it is asked for', async () => {
      const { manager, parts } = setUp();
      const none = () => {};
      manager.states = async () => new Map([...manager.rows].map(([id, row]) => [id, known(row)]));
      expect(await listInstances(parts, {}, none, NOW)).not.to.include('Gone');
      const all = await listInstances(parts, { all: true }, none, NOW);
      expect(all)
        .to.match(/^1 +Gone .* removed /m)
        .and.to.match(/^2 +Luna .* 100 MB /m);
    });

    it('ps --problems says so when there are none, and shows only those there are', async () => {
      const { engine, manager, parts } = setUp();
      engine.list = async () => new Map([[2, UP]]);
      const list = () => listInstances(parts, { problems: true }, () => {}, NOW);
      expect(await list()).to.equal('No instance needs you: 1 running.\n');
      const sol = manager.insert({ name: 'Sol', state: 'error' });
      Object.assign(manager.rows.get(sol) ?? {}, { reason: 'CrashLoop' });
      expect(await list()).to.match(/^ID .*\n3 +Sol .* error: CrashLoop .*\n$/);
    });

    it('ps shows what Odoo has while Docker is away, and says so', async () => {
      const { engine, parts } = setUp();
      engine.list = () => Promise.reject(new Error('Docker does not answer.'));
      const said: string[] = [];
      const list = await listInstances(parts, {}, (text) => said.push(text), NOW);
      expect(list).to.match(/^2 +Luna .* running /m);
      expect(said.join()).to.match(/^Docker does not answer\. Containers and memory/);
    });

    it('status says what is wanted, seen and why, the last steps, names and backups', async () => {
      const { manager, parts } = setUp();
      const row = manager.rows.get(2);
      if (!row) throw new Error('there is none');
      row.domains = [
        { id: 1, name: 'luna.com', isVerified: true, hasCertificate: false, token: 't' },
      ];
      Object.assign(row, {
        log: Array.from({ length: 12 }, (_, index) => `line ${index}${ESCAPE}`),
        since: NOW.getTime() / 1000 - 7_200,
        repositories: [aRepository({ commit: 'c0ffee' })],
      });
      const [desired] = await parts.manager.desired([2]);
      const text = await instanceStatus(desired ?? anInstance(), parts, NOW);
      expect(text).not.to.include('\u001b');
      for (const line of [
        /^name +Luna$/,
        /^state +running$/,
        /^since +2026-11-27 04:00 UTC, 2 h ago$/,
        /^wanted +running$/,
        /^seen +containers none, database \w+, files \w+, does not answer, next: \w+, because /,
        /^memory +100 MB in use$/,
        /^domain +luna\.com: verified, no certificate$/,
        /^repository +https:\/\/git\.example\.com\/x 19\.0 at c0ffee$/,
        /^backups +switched off \(backups\.enabled\); newest never; newest proven never$/,
        /^ {2}line 11/,
      ])
        expect(text).to.match(new RegExp(line.source, 'm'));
      expect(text.match(/^ {2}line/gm)).to.have.length(10);
    });

    it('status goes on where Docker is away', async () => {
      const { engine, parts } = setUp();
      engine.observe = () => Promise.reject(new Error('Docker does not answer.'));
      const [desired] = await parts.manager.desired([2]);
      const text = await instanceStatus(desired ?? anInstance(), parts, NOW);
      expect(text).to.match(/^seen +unknown: Docker does not answer\.$/m);
    });
  });

  for (const [state, reason, isAsleep, expected] of [
    ['draft', '', false, 'draft'],
    ['draft', 'CreatingDatabase', false, 'preparing'],
    ['running', 'Running', false, 'running'],
    ['running', 'Asleep', true, 'asleep'],
    ['running', 'Restarting', false, 'starting'],
    ['running', 'Starting', true, 'starting'],
    ['running', 'UpdatingApps', false, 'running'],
    ['running', 'Stopping', false, 'stopping'],
    ['stopped', 'SwappingData', false, 'restoring'],
    ['stopped', 'Stopped', false, 'stopped'],
    ['stopped', 'Expired', false, 'suspended'],
    ['stopped', 'Refunded', false, 'suspended'],
    ['stopped', 'Cancelled', false, 'stopped'],
    ['stopped', 'Archiving', false, 'removing'],
    ['error', 'NotEnoughDisk', false, 'error'],
    ['error', 'Starting', false, 'starting'],
    ['removed', 'Purged', false, 'removed'],
  ] as const)
    it(`calls ${state} with the reason ${reason || 'none'}${isAsleep ? ', asleep' : ''}: ${expected}`, () =>
      expect(shownState({ state, reason, isAsleep })).to.equal(expected));

  it('counts instances by state', () => {
    expect(countedByState(['running', 'error', 'running', 'draft'])).to.equal(
      '1 in error, 2 running, 1 draft',
    );
    expect(countedByState([])).to.equal('none');
  });

  it('keeps letters of every language, tabs and line feeds, however the bytes are split', () => {
    const text = `Ñandú\t日本\n${ESCAPE}\u009b31m\u202ePanadería 🥐`;
    const pass = printableBytes();
    const bytes = Buffer.from(text);
    const passed = Array.from(bytes, (byte) => Buffer.from(pass(Buffer.of(byte))));
    expect(Buffer.concat(passed).toString()).to.equal('Ñandú\t日本\n]0;owned[2J31mPanadería 🥐');
    expect(printable(text)).to.equal('Ñandú 日本 ]0;owned[2J31mPanadería 🥐');
  });

  it('filters what a program writes to the terminal', async () => {
    const filtered: string[] = [];
    const spy = () => (chunk: Uint8Array) => {
      filtered.push(Buffer.from(chunk).toString());
      return new Uint8Array();
    };
    await execInTerminal(['printf', 'of a customer'], {}, spy);
    expect(filtered.join('')).to.equal('of a customer');
  });

  describe('wrong use', () => {
    const folder = temporaryFolder();

    /** The exit code and what is said, and never a stack: there is nothing to see in ours. */
    async function said(...args: string[]): Promise<string> {
      const main = ['--import', 'tsx', 'src/main.ts'];
      const result = await execa(process.execPath, [...main, ...args], {
        reject: false,
        all: true,
        env: { MICROSAAS_CONFIG: join(folder(), 'microsaas.yaml') },
      });
      expect(result.all).not.to.match(/^\s+at /m);
      return `${result.exitCode}: ${result.all}`;
    }

    it('prints the usage or the error, never a stack trace', async function () {
      this.timeout(120_000);
      const config = {
        dataDir: folder(),
        manager: { url: 'http://127.0.0.1:9', database: 'x', apiKey: 'x' },
        webhook: { secret: `whsec_${Buffer.alloc(24).toString('base64')}` },
        postgres: { password: 'x' },
        docker: { socket: '/nowhere/docker.sock' },
      };
      await writeFile(join(folder(), 'microsaas.yaml'), JSON.stringify(config));
      const answers = await Promise.all([
        said('secrets'),
        said(),
        said('logs', '7', '--tail', 'all'),
        said('secret', 'panaderia-luna'),
        said('logs', '9999'),
        said('doctor'),
        said('logs', '0'),
        said('status'),
        said('ps', '--problem'),
        said('restore', '--help'),
        said('restore', '--all'),
        said('restore', '7', '--yes'),
      ]);
      const expected = [
        /^2: error: unknown command 'secrets'\n\(Did you mean secret\?\)/,
        /^2: .*ps\|list .*list the instances/s,
        /^2: .*expected a whole number/s,
        /^1: microsaas: /,
        /^1: microsaas: Docker does not answer\.$/,
        /^1: FAIL {2}Docker: Docker does not answer\.\n {6}\w+: start Docker/,
        /^2: microsaas: instance 0 has no container here; microsaas ps lists all instances$/,
        /^2: error: missing required argument 'instance'/,
        /^2: error: unknown option '--problem'\n\(Did you mean --problems\?\)/,
        /^0: Usage: microsaas restore/,
        /^2: microsaas: restore --all: .* Say --yes if that is meant$/,
        /^2: microsaas: restore 7: expected a backup too, .* microsaas backups 7 lists them$/,
      ];
      for (const [index, answer] of answers.entries())
        expect(answer).to.match(expected[index] ?? /never/);
    });
  });
});
