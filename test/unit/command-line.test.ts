import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { execa } from 'execa';
import { ConfigError } from '../../src/errors.ts';
import { findInstance, type ListedInstance } from '../../src/find-instance.ts';
import { execInTerminal } from '../../src/host/exec.ts';
import { countedByState, instanceTable } from '../../src/instance-table.ts';
import { printable, printableBytes } from '../../src/printable.ts';
import { anInstance } from '../support/samples.ts';
import { temporaryFolder } from '../support/temporary.ts';

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
        expect(error).to.be.instanceOf(ConfigError);
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

  it('lists instances in error first, without control characters', () => {
    const table = instanceTable([
      anInstance({ id: 5, name: 'Luna', instanceUrl: 'http://127.0.0.1:20000' }),
      anInstance({
        id: 12,
        name: `${ESCAPE}Sol\u202e`,
        state: 'error',
        reason: 'NotEnoughDisk',
        customer: { ...anInstance().customer, companyName: 'x'.repeat(60) },
      }),
    ]);
    expect(table.split('\n')).to.deep.equal([
      'ID  NAME            STATE    REASON         ADDRESS                 CUSTOMER',
      `12  ]0;owned[2JSol  error    NotEnoughDisk  -                       ${'x'.repeat(39)}…`,
      '5   Luna            running  Running        http://127.0.0.1:20000  Panadería Ñandú',
      '',
    ]);
  });

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

    /** What is said, and never a stack: there is nothing to see in ours. */
    async function said(...args: string[]): Promise<string> {
      const main = ['--import', 'tsx', 'src/main.ts'];
      const result = await execa(process.execPath, [...main, ...args], {
        reject: false,
        all: true,
        env: { MICROSAAS_CONFIG: join(folder(), 'microsaas.yaml') },
      });
      expect(result.exitCode).to.equal(1);
      expect(result.all).not.to.match(/^\s+at /m);
      return result.all;
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
      ]);
      const expected = [
        /unknown command 'secrets'\n\(Did you mean secret\?\)/,
        /ps\|list .*list the instances/,
        /expected a whole number/,
        /^microsaas: /,
        /^microsaas: Docker does not answer\.$/,
        /^FAIL {2}Docker: Docker does not answer\.\n {6}\w+: start Docker/,
      ];
      for (const [index, answer] of answers.entries())
        expect(answer).to.match(expected[index] ?? /never/);
    });
  });
});
