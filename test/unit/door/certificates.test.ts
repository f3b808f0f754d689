import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { StoredCertificates } from '../../../src/door/certificates.ts';
import { temporaryFolder } from '../../support/temporary.ts';

/** A self-signed certificate and its key, by a real OpenSSL. */
function issue(folder: string, name: string, days: number) {
  mkdirSync(folder, { recursive: true });
  const [certificateFile, keyFile] = [join(folder, 'made.crt'), join(folder, 'made.key')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', '/CN=made', '-addext', `subjectAltName=DNS:${name}`];
  const files = ['-keyout', keyFile, '-out', certificateFile, '-days', String(days)];
  execFileSync('openssl', ['req', '-x509', ...curve, ...subject, ...files], { stdio: 'pipe' });
  return { certificateFile, keyFile };
}

describe('the certificates of the door', () => {
  const folder = temporaryFolder();
  const at = (days: number) => Date.now() + days * 86_400_000;
  const stored = (given = null as { certificateFile: string; keyFile: string } | null) =>
    new StoredCertificates({ dataDir: folder(), given, always: [] });
  /** Puts a certificate where Caddy has it. @param name what it is for */
  const store = (authority: string, place: string, days: number, name = place) => {
    const made = issue(join(folder(), 'made', authority + place), name, days);
    const kept = join(folder(), 'caddy', 'certificates', authority, place);
    mkdirSync(kept, { recursive: true });
    execFileSync('cp', ['--', made.certificateFile, join(kept, `${place}.crt`)]);
    return join(kept, `${place}.crt`);
  };

  it('are none before Caddy has any', async () => {
    expect(await stored().until('www.acme.com')).to.equal(null);
    expect(await stored().state(['www.acme.com'])).to.deep.equal({
      soonest: null,
      overdue: null,
      missing: ['www.acme.com'],
    });
  });

  it('are found by name, the latest of several authorities', async () => {
    store('acme.example-directory', 'www.acme.com', 10);
    store('other.example-directory', 'www.acme.com', 80);
    const until = await stored().until('www.acme.com');
    expect(until?.getTime()).to.be.closeTo(at(80), 60_000);
    expect(await stored().until('acme.com')).to.equal(null);
  });

  it('say which ends first, and which are missing', async () => {
    store('acme.example-directory', 'www.acme.com', 40);
    store('acme.example-directory', 'a.host.example', 20);
    const { missing, soonest } = await stored().state(['www.acme.com', 'a.host.example', 'b.com']);
    expect(missing).to.deep.equal(['b.com']);
    expect(soonest?.name).to.equal('a.host.example');
    expect(soonest?.until.getTime()).to.be.closeTo(at(20), 60_000);
  });

  it('say which should long have been renewed, by the time that they were given for', async () => {
    store('acme.example-directory', 'a-day.com', 1);
    store('acme.example-directory', 'months.com', 90);
    const overdueIn = async (days: number) => {
      const now = () => at(days);
      const certificates = new StoredCertificates({
        ...{ dataDir: folder(), given: null, always: [], now },
      });
      return (await certificates.state(['a-day.com', 'months.com'])).overdue?.name ?? null;
    };
    expect(await overdueIn(0)).to.equal(null);
    expect(await overdueIn(0.9)).to.equal('a-day.com');
    store('acme.example-directory', 'a-day.com', 85);
    expect(await overdueIn(74)).to.equal('a-day.com');
    expect(await overdueIn(70)).to.equal(null);
  });

  it('include the wildcard that the operator gives, for what it is for', async () => {
    const given = issue(join(folder(), 'given'), '*.host.example', 30);
    const { missing, soonest } = await stored(given).state(['a.host.example', 'www.acme.com']);
    expect(missing).to.deep.equal(['www.acme.com']);
    expect(soonest?.name).to.equal('a.host.example');
  });

  it('are missed too for names that always need one', async () => {
    const always = ['manager.host.example'];
    const certificates = new StoredCertificates({ dataDir: folder(), given: null, always });
    expect((await certificates.state([])).missing).to.deep.equal(always);
  });

  it('are not what is damaged, huge or for another name', async () => {
    writeFileSync(store('acme.example-directory', 'a.com', 10), 'half a certif');
    appendFileSync(store('acme.example-directory', 'b.com', 10), 'x'.repeat(100_000));
    store('acme.example-directory', 'c.com', 10, 'elsewhere.com');
    expect((await stored().state(['a.com', 'b.com', 'c.com'])).missing).to.have.length(3);
  });

  it('are looked for nowhere else, whatever the name is', async () => {
    store('acme.example-directory', 'a.com', 10);
    for (const name of ['../acme.example-directory/a.com', '..', '', 'a.com/', '/etc/passwd'])
      expect(await stored().until(name)).to.equal(null);
  });

  it('are read again when Caddy has renewed them', async () => {
    const certificates = stored();
    store('acme.example-directory', 'a.com', 10);
    expect((await certificates.until('a.com'))?.getTime()).to.be.below(at(11));
    store('acme.example-directory', 'a.com', 80);
    expect((await certificates.until('a.com'))?.getTime()).to.be.above(at(79));
  });

  it('that are given must be for the domain and fit their key', async () => {
    const given = issue(join(folder(), 'one'), '*.host.example', 30);
    const other = issue(join(folder(), 'other'), '*.host.example', 30);
    const refusal = async (files: typeof given, domain: string) => {
      const said = await stored(files)
        .checkGiven(domain)
        .catch((error: Error) => error);
      return said instanceof Error ? said.message : 'taken';
    };
    expect(await refusal(given, 'host.example')).to.equal('taken');
    const { certificateFile } = given;
    expect(await refusal({ certificateFile, keyFile: other.keyFile }, 'host.example')).to.match(
      /not the key/,
    );
    expect(await refusal(given, 'elsewhere.example')).to.match(/not for \*\.elsewhere\.example/);
    expect(await refusal({ ...given, keyFile: '/nowhere' }, 'host.example')).to.match(/ENOENT/);
  });
});
