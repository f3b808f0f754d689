import { expect } from 'chai';
import fc from 'fast-check';
import { parse } from 'yaml';
import {
  CA_IN_CONTAINER,
  LIBPQ_ENVIRONMENT,
  TCP_SYSCTLS,
} from '../../../src/docker/postgres-access.ts';
import { digestOf, renderInstance, type Template } from '../../../src/files/render.ts';
import { anInput, aTemplate, replacing, SECRETS } from './instances.ts';

const DIGEST_AT_A_SOCKET =
  'db4dc11d8f00b8ba1a0c48107323f262e21d343b11810edbe3bc781ec07b04c7-887bea5a';

describe('render', () => {
  let template: Template;
  before(async () => {
    template = await aTemplate('odoo');
  });

  it('computes the digest from the input alone, in any order', () => {
    const input = anInput();
    const turned = Object.fromEntries(Object.entries(input).reverse()) as typeof input;
    expect(digestOf(turned))
      .to.equal(digestOf(input))
      .and.to.match(/^[0-9a-f]{64}-[0-9a-f]{8}$/);
  });

  for (const change of [
    { restartCount: 1 },
    { memoryMb: 2048 },
    { ports: { http: 8100, longpolling: 8201 } },
    { checkouts: [] },
  ])
    it(`computes another digest for ${JSON.stringify(change)}`, () => {
      expect(digestOf(anInput(change))).not.to.equal(digestOf(anInput()));
    });

  it('computes the digest of a Postgres at a socket as it was when there was no other', () => {
    expect(digestOf(anInput())).to.equal(DIGEST_AT_A_SOCKET);
  });

  it('computes another digest for other hosts of Postgres, and the same where only their addresses are others', () => {
    const at = (host: string, hostAddresses: readonly string[] = []) => {
      const sharedServer = { hosts: [host], port: 5432, caFile: '/srv/microsaas/ca.crt' };
      return digestOf(anInput({ sharedServer, hostAddresses }));
    };
    expect(at('a.example')).not.to.equal(at('b.example'));
    expect(at('a.example', ['a.example:10.0.0.1'])).to.equal(at('a.example'));
  });

  it('sets in a container what libpq and the kernel need for a Postgres on the network', () => {
    const sharedServer = { hosts: ['a.example'], port: 5432, caFile: '/srv/microsaas/ca.crt' };
    const made = renderInstance(template, anInput({ sharedServer }), SECRETS);
    const { odoo } = parse(made.compose).services;
    expect(odoo.environment).to.include(LIBPQ_ENVIRONMENT);
    expect(odoo.sysctls).to.deep.equal(TCP_SYSCTLS);
    const [ca] = odoo.volumes.filter(
      ({ target }: { target: string }) => target === CA_IN_CONTAINER,
    );
    expect(ca).to.include({ source: sharedServer.caFile, read_only: true });
  });

  for (const less of ['prefer', 'require', 'verify-ca'])
    it(`refuses an odoo.conf that asks a Postgres on the network for ${less} alone`, async () => {
      const bad = await aTemplate('odoo', { conf: replacing('verify-full', less) });
      const sharedServer = { hosts: ['a.example'], port: 5432, caFile: '/srv/microsaas/ca.crt' };
      expect(() => renderInstance(bad, anInput({ sharedServer }), SECRETS)).to.throw(/db_sslmode/);
    });

  it('does not change the digest when a template is upgraded', async () => {
    const upgraded = await aTemplate('odoo', {
      compose: replacing('pids_limit: 256', 'pids_limit: 300'),
    });
    const before = renderInstance(template, anInput(), SECRETS);
    const after = renderInstance({ ...upgraded, image: 'odoo:20.0' }, anInput(), SECRETS);
    expect(after.compose).not.to.equal(before.compose);
    expect(after.digest).to.equal(before.digest);
  });

  it('puts the digest on every service', async () => {
    const own = await aTemplate('odoo-own-db');
    const made = renderInstance(own, anInput(), SECRETS);
    const { odoo, db } = parse(made.compose).services;
    expect(odoo.labels['microsaas.digest']).to.equal(made.digest);
    expect(db.labels).to.deep.equal(odoo.labels);
  });

  it('keeps secrets out of the Compose file', () => {
    const { compose, conf } = renderInstance(template, anInput(), SECRETS);
    for (const secret of Object.values(SECRETS)) {
      expect(compose).not.to.contain(secret);
      expect(conf).to.contain(` = ${secret}\n`);
    }
  });

  it('is not open to injection by any path, address or password', function () {
    this.timeout(20_000);
    const shape = shapeOf(renderInstance(template, anInput(), SECRETS));
    const text = fc.string({ unit: 'binary', minLength: 1 });
    let rendered = 0;
    fc.assert(
      fc.property(text, text, text, (path, network, dbPassword) => {
        const directory = `/srv/${path.replaceAll('/', '')}/x`;
        const input = anInput({ directory, network });
        try {
          const made = renderInstance(template, input, { ...SECRETS, dbPassword });
          rendered += 1;
          expect(shapeOf(made)).to.deep.equal(shape);
        } catch (error) {
          expect(error).to.have.property('name', 'TerminalError');
        }
      }),
      { numRuns: 100 },
    );
    expect(rendered).to.be.greaterThan(10);
  });

  for (const [what, change, why] of [
    ['an unknown variable', replacing('{{yaml cpus}}', '{{yaml speed}}'), /speed/],
    [
      'a key that is there twice',
      replacing('    init: true', '    init: true\n    init: true'),
      /unique/,
    ],
    ['broken YAML', replacing('services:', 'services: ['), /docker-compose.yml/],
    ['an alias', replacing('restart: unless-stopped', 'restart: &a x\n    b: *a'), /alias/i],
    ['a tag of its own', replacing('read_only: true', 'read_only: !reset true'), /tag/i],
    [
      'two documents',
      replacing('networks:\n  instances', '---\nnetworks:\n  instances'),
      /document/i,
    ],
  ] as const)
    it(`refuses ${what}`, async () => {
      const bad = await aTemplate('odoo', { compose: change });
      expect(() => renderInstance(bad, anInput(), SECRETS))
        .to.throw(why)
        .with.property('reason', 'TemplateInvalid');
    });

  for (const [what, change, reason, why] of [
    ['another database', replacing('{{ini database}}', 'other'), 'TemplateBreaksPolicy', /db_name/],
    ['no database', replacing('db_name', '; db_name'), 'TemplateBreaksPolicy', /db_name/],
    [
      'a filter of databases',
      replacing('list_db', 'dbfilter = .*\nlist_db'),
      'TemplateBreaksPolicy',
      /dbfilter/,
    ],
    [
      'the database manager',
      replacing('list_db = False', 'list_db = True'),
      'TemplateBreaksPolicy',
      /list_db/,
    ],
    [
      'an option twice',
      replacing('list_db = False', 'list_db = False\nlist_db = True'),
      'TemplateInvalid',
      /twice/,
    ],
    [
      'a second section',
      replacing('db_host', '[other]\ndb_host'),
      'TemplateInvalid',
      /\[options\]/,
    ],
    ['an indented line', replacing('db_host', '  db_host'), 'TemplateInvalid', /\[options\]/],
  ] as const)
    it(`refuses an odoo.conf with ${what}`, async () => {
      const bad = await aTemplate('odoo', { conf: change });
      expect(() => renderInstance(bad, anInput(), SECRETS))
        .to.throw(why)
        .with.property('reason', reason);
    });
});

/** Which keys there are, without their values. */
function shapeOf({ compose, conf }: { readonly compose: string; readonly conf: string }): unknown {
  const keys = (value: unknown): unknown =>
    value !== null && typeof value === 'object'
      ? Object.entries(value).map(([key, part]) => [key, keys(part)])
      : null;
  return [keys(parse(compose)), conf.split('\n').map((line) => line.split(' = ')[0])];
}
