import { expect } from 'chai';
import type { ZodType } from 'zod';
import { ManagerError } from '../../../src/errors.ts';
import type { Kept } from '../../../src/instance/backup-retention.ts';
import type { Backup } from '../../../src/interfaces.ts';
import { type DoorFacts, OdooManager } from '../../../src/manager/manager.ts';
import type { OdooClient } from '../../../src/manager/rpc/odoo-client.ts';
import { toOdoo } from '../../../src/manager/rpc/transport.ts';
import { aHost, anInstance, aRepository } from '../../support/samples.ts';
import { errorOf, OdooSuite } from './every-rpc.ts';
import { INSTANCE_ROW, INVOICE_ROW, SUBSCRIPTION_ROW } from './sample-rows.ts';

/** An OdooClient that gives one answer and keeps what it was asked, as it would be sent. */
function answering(answer: unknown, door: DoorFacts | null = null) {
  const asked: Array<[model: string, method: string, args: unknown]> = [];
  const client: OdooClient = {
    async call<T>(model: string, method: string, args: object, schema: ZodType<T>) {
      asked.push([model, method, toOdoo(args)]);
      if (answer instanceof Error) throw answer;
      return schema.parse(answer);
    },
  };
  return { manager: new OdooManager(client, door), asked };
}

describe('OdooManager', () => {
  it('says hello and learns the settings', async () => {
    const { manager, asked } = answering({
      install_id: 'abc123',
      addon_version: '19.0.1.0.0',
      http_ports: [20000, 24999],
      longpolling_ports: [25000, 29999],
      database_uuid: 'made-up',
      checkpoint: 3,
      highest_instance: 7,
      has_mail_server: true,
      has_company_email: false,
      ...{ failed_mails: 3, cron_at: 1_795_347_900, heard_at: 1_795_347_960, now: 1_795_348_000.5 },
    });
    expect(await manager.handshake('abc123')).to.deep.equal({
      installId: 'abc123',
      addonVersion: '19.0.1.0.0',
      databaseUuid: 'made-up',
      checkpoint: 3,
      highestInstance: 7,
      hasMailServer: true,
      hasCompanyEmail: false,
      ...{ failedMails: 3, cronAt: 1_795_347_900, heardAt: 1_795_347_960, now: 1_795_348_000.5 },
    });
    expect(asked).to.deep.equal([
      ['microsaas.sidecar.api', 'microsaas_hello', { install_id: 'abc123', door: false }],
    ]);
  });

  it('says hello once where several ask at the same moment: the first hello of all writes in Odoo', async () => {
    const { manager, asked } = answering(new ManagerError('server', 'away'));
    const both = [manager.handshake('abc123'), manager.handshake('abc123')];
    const errors = await Promise.all(both.map(errorOf));
    expect(errors.map(({ message }) => message)).to.deep.equal(['away', 'away']);
    expect(asked).to.have.length(1);
    await errorOf(manager.handshake('abc123'));
    expect(asked).to.have.length(2);
  });

  it('reads the names of the door, the domains and the ports, and what a visitor is to read', async () => {
    const addresses = { subdomain: 'acme', former_subdomains: ['old'], domains: [] };
    const row = { id: 7, http_port: 0, longpolling_port: 0, is_copy: false, ...addresses };
    const domain = { id: 3, name: 'www.acme.com', verified: true, certified: false, token: 't' };
    const named = { ...row, http_port: 20_000, longpolling_port: 25_000, domains: [domain] };
    const shared = { id: 7, subdomain: 'acme', formerSubdomains: ['old'], isCopy: false };
    expect(await answering([row, named]).manager.routes()).to.deep.equal([
      { ...shared, domains: [], ports: null },
      {
        ...shared,
        domains: [
          { id: 3, name: 'www.acme.com', isVerified: true, hasCertificate: false, token: 't' },
        ],
        ports: { http: 20_000, longpolling: 25_000 },
      },
    ]);
    const said = { status: 404, retry_after: 0, lang: 'en_US', title: 'None', lines: ['x'] };
    const second = { label: 'Download', url: 'https://manager.example.com/my/instances/7' };
    const links = { action: false, second_action: second };
    const rest = { ...links, company: 'Hosting', logo_url: '' };
    const { manager, asked } = answering({ ...said, ...rest });
    expect(await manager.page('acme.example.com', 7, 'es')).to.deep.equal({
      ...{ status: 404, retryAfter: 0, lang: 'en_US', title: 'None', lines: ['x'] },
      ...{ action: null, secondAction: second, company: 'Hosting', logoUrl: '' },
    });
    expect(asked[0]?.[2]).to.deep.equal({
      host: 'acme.example.com',
      instance_id: 7,
      language: 'es',
    });
    const evil = answering({
      ...said,
      ...rest,
      action: { label: 'x', url: 'javascript:alert(1)' },
    });
    const refused = await evil.manager.page('a', 7, '').then(
      () => 'read',
      () => 'refused',
    );
    expect(refused).to.equal('refused');
  });

  it('says of a door what people are shown of it', async () => {
    const door = { domain: 'x.com', url: 'https://{name}.x.com', addresses: [], manager: 'm' };
    const { manager, asked } = answering(new ManagerError('server', 'away'), door);
    await errorOf(manager.handshake('abc123'));
    expect(asked[0]?.[2]).to.deep.equal({ install_id: 'abc123', door });
  });

  it('reads a desired instance that has nothing yet', async () => {
    const { manager, asked } = answering([INSTANCE_ROW]);
    const [instance] = await manager.desired([5, 6]);
    expect(asked[0]?.[2]).to.deep.equal({ instance_ids: [5, 6] });
    expect(instance).to.deep.include({
      desiredState: 'running',
      ports: null,
      subscription: null,
      partnerId: 12,
      requestedAt: 1_795_305_600.123456,
      customer: {
        name: 'Ana',
        companyName: 'Panadería Ñandú',
        email: 'ana@example.com',
        lang: 'es_ES',
        countryCode: 'ES',
      },
      repositories: [aRepository({ url: 'https://git.example/x' })],
    });
    expect(instance).not.to.have.any.keys('phase_message', 'workers', 'desired_state');
  });

  it('reads of a staging copy whose backup it is made from, and makes one', async () => {
    const of = { id: 4, identity: INSTANCE_ROW.identity, snapshot: 'ab'.repeat(32) };
    const row = { ...INSTANCE_ROW, copy_of: of };
    const [copy] = await answering([row]).manager.desired([5]);
    expect(copy?.copyOf).to.deep.equal(of);
    for (const snapshot of ['latest', 'AB'.repeat(32), '--help']) {
      const bad = answering([{ ...row, copy_of: { ...of, snapshot } }]).manager;
      const error = await bad.desired([5]).catch((thrown: unknown) => thrown);
      expect(error, snapshot).to.be.instanceOf(Error);
    }
    const { manager, asked } = answering(9);
    expect(await manager.askForStaging(4, of.snapshot)).to.equal(9);
    expect(asked[0]?.[2]).to.deep.equal({ instance_id: 4, snapshot: of.snapshot });
  });

  it('reads the ports and the subscription of one that has them', async () => {
    const ports = { http_port: 20000, longpolling_port: 25000 };
    const [instance] = await answering([
      { ...INSTANCE_ROW, ...ports, subscription: SUBSCRIPTION_ROW },
    ]).manager.desired([5]);
    expect(instance?.ports).to.deep.equal({ http: 20000, longpolling: 25000 });
    expect(instance?.managerTime.toISOString()).to.equal('2026-11-22T00:01:40.500Z');
    const subscription = instance?.subscription;
    expect(subscription).to.include({ state: 'expired', startDay: '2026-10-22' });
    expect(subscription?.suspendedAt?.toISOString()).to.equal('2026-11-22T10:00:05.000Z');
    expect(subscription?.archivedAt).to.equal(null);
    expect(subscription?.terms).to.include({ finalNotice: 7, refund: 'suspend' });
    const [first, correction] = subscription?.periods ?? [];
    expect(first?.money?.reversedRatio).to.equal(1);
    expect(first?.applied?.reversedOn).to.equal('2026-11-22');
    expect(correction).to.deep.include({ money: null, sold: null, applied: null, replaces: 11 });
  });

  it('reads an invoice, and {} as none', async () => {
    const invoice = await answering(INVOICE_ROW).manager.invoice(9);
    expect(invoice).to.deep.include({ moveType: 'out_invoice', reversedRatio: 0.25 });
    expect(invoice).to.include({ paidDay: '2026-11-23', unlinkedCredit: '' });
    expect(invoice?.lines[0]).to.deep.equal({
      id: 11,
      displayType: 'product',
      quantity: 2.7,
      priceSubtotal: 0,
      isPlan: true,
      provision: 'automatic',
      planSince: '2026-01-01',
      isSincePlan: true,
      mayRenew: [],
      triedBefore: [],
      claimedUnits: [1],
      backlog: 1,
    });
    expect(await answering({}).manager.invoice(9)).to.equal(null);
  });

  it('reports only what is given, with false for nothing', async () => {
    const { manager, asked } = answering(true);
    await manager.report([
      { id: 5, revision: 3, nextReview: null },
      {
        id: 6,
        revision: 1,
        state: 'running',
        reason: 'Running',
        ports: { http: 20000, longpolling: 25000 },
        nextReview: new Date('2026-11-22T10:00:00.5Z'),
        secondsToReady: 1.5,
        subscription: {
          state: 'active',
          startDay: '2026-11-22',
          suspendedAt: null,
          archivedAt: new Date('2026-11-22T11:00:00Z'),
          notices: [{ kind: 'welcome', period: '' }],
        },
        active: false,
      },
    ]);
    expect(asked[0]?.[2]).to.deep.equal({
      reports: [
        { id: 5, revision: 3, next_review: false },
        {
          id: 6,
          revision: 1,
          state: 'running',
          reason: 'Running',
          http_port: 20000,
          longpolling_port: 25000,
          next_review: '2026-11-22 10:00:00',
          seconds_to_ready: 1.5,
          subscription: {
            state: 'active',
            fecha_inicio: '2026-11-22',
            suspended_at: false,
            archived_at: '2026-11-22 11:00:00',
            notices: [{ kind: 'welcome', period: '' }],
          },
          active: false,
        },
      ],
    });
  });

  it('claims units in order, and refuses an answer that leaves one out', async () => {
    const units = [
      { lineId: 11, unit: 1 },
      { lineId: 11, unit: 2 },
    ];
    const [first, second] = [30, 31].map((id) => ({ ...INSTANCE_ROW, id }));
    const { manager, asked } = answering([first, second]);
    expect((await manager.claim(units, 0)).map(({ id }) => id)).to.deep.equal([30, 31]);
    expect(asked[0]?.[2]).to.deep.equal({
      units: [
        { line_id: 11, unit: 1 },
        { line_id: 11, unit: 2 },
      ],
      above: 0,
    });
    expect((await errorOf(answering([first]).manager.claim(units, 0))).kind).to.equal('server');
  });

  it('sends what a mark says, as the addon takes it', async () => {
    const { manager, asked } = answering([7]);
    const { id, identity, name, ports, restartCount, subdomain, templateCode } = anInstance();
    const soldAs = { lineId: 31, unit: 1, madeAt: '2026-11-22 09:30:00.123456' };
    const repositories = [{ url: 'https://x/y', branch: '', commit: 'abc', isOfPlan: true }];
    const made = { restartCount, templateCode, soldAs, repositories };
    const marked = { id, identity, name, subdomain, ports, ...made };
    expect(await manager.adopt([{ ...marked, running: true, hasData: true }])).to.deep.equal([7]);
    expect(asked[0]?.[1]).to.equal('microsaas_adopt');
    expect(asked[0]?.[2]).to.deep.equal({
      found: [
        {
          ...{
            id,
            identity,
            name,
            subdomain,
            template_code: templateCode,
            restart_count: restartCount,
          },
          ...{ http_port: 20_000, longpolling_port: 25_000, running: true, was_ready: true },
          repositories: [{ url: 'https://x/y', branch: '', commit: 'abc', of_plan: true }],
          sold_as: { line_id: 31, unit: 1, made_at: '2026-11-22 09:30:00.123456' },
        },
      ],
    });
  });

  it('reads spares, and says what becomes of them', async () => {
    const { job: _, ...plain } = INSTANCE_ROW;
    const row = {
      ...plain,
      ...{ job: false, sold_as: false, from_spare: false, plan_id: 3, fresh: true },
      languages: ['en_US', 'fr_FR', 'es_ES'],
      spare_state: 'ready',
    };
    const [spare] = await answering([row]).manager.spares();
    expect(spare).to.include({ id: 5, planId: 3, spare: 'kept', spareState: 'ready' });
    expect(spare?.isFresh).to.equal(true);
    expect(spare?.languages).to.deep.equal(['en_US', 'fr_FR', 'es_ES']);

    const { manager, asked } = answering(9);
    expect(await manager.reserveSpare({ id: 3, spareContent: 'c1' }, 8)).to.equal(9);
    expect(asked[0]?.[2]).to.deep.equal({ plan_id: 3, content: 'c1', above: 8 });
    const none = await answering(0).manager.reserveSpare({ id: 3, spareContent: 'c1' }, 8);
    expect(none).to.equal(null);
    const said = answering(true);
    expect(await said.manager.reportSpare(9, 'ready', 'sha256:a')).to.equal(true);
    expect(asked).to.have.length(1);
    expect(said.asked[0]?.[2]).to.deep.equal({
      ...{ number: 9, state: 'ready', image_digest: 'sha256:a' },
    });
  });

  it('reads spares in every language that Odoo has, and lets one that it cannot use end that spare alone', async () => {
    const { job: _, ...plain } = INSTANCE_ROW;
    const row = {
      ...plain,
      ...{ job: false, sold_as: false, from_spare: false, plan_id: 3, fresh: true },
      spare_state: 'ready',
    };
    const languages = ['en_US', 'es_419', 'sr@latin', 'kab_DZ', 'ca_ES@valencia', 'eo'];
    const rows = [
      { ...row, languages },
      { ...row, id: 6, languages: ['en_US', '--init=evil', 'es_ES,fr_FR', '../x'] },
    ];
    const [usable, evil] = await answering(rows).manager.spares();
    expect(usable).to.deep.include({ id: 5, isFresh: true, languages });
    expect(evil).to.deep.include({ id: 6, isFresh: false, languages: ['en_US'] });
  });

  it('knows the numbers of spares whatever else is said of them: the sweep needs nothing more', async () => {
    const { manager, asked } = answering([{ id: 6, languages: 'x' }, { id: 7 }]);
    expect([...(await manager.spareNumbers())]).to.deep.equal([6, 7]);
    expect(asked[0]?.slice(1)).to.deep.equal(['microsaas_spares', {}]);
  });

  it('knows an instance that was a spare until it was sold', async () => {
    const [sold] = await answering([{ ...INSTANCE_ROW, from_spare: true }]).manager.desired([5]);
    expect(sold?.spare).to.equal('sold');
    const [usual] = await answering([INSTANCE_ROW]).manager.desired([5]);
    expect(usual?.spare, 'an older addon has none').to.equal('no');
  });

  it('asks nothing about nothing', async () => {
    const { manager, asked } = answering(true);
    await manager.report([]);
    expect(await manager.desired([])).to.deep.equal([]);
    expect(await manager.claim([], 0)).to.deep.equal([]);
    expect(asked).to.deep.equal([]);
  });

  it('asks again for ports that somebody else was given in the same moment, and for nothing else', async () => {
    for (const [kind, times] of [
      ['validation', 2],
      ['transport', 1],
    ] as const) {
      const { manager, asked } = answering(new ManagerError(kind, 'no'));
      expect((await errorOf(manager.assignPorts({ id: 5 }, [20000]))).kind).to.equal(kind);
      expect(asked).to.have.length(times);
      expect(asked[0]?.[2]).to.deep.equal({ instance_id: 5, exclude: [20000] });
    }
  });

  it('reads assigned ports and what Odoo believes of its instances', async () => {
    const assign = (http_port: number) =>
      answering({ http_port, longpolling_port: 25000 }).manager.assignPorts({ id: 5 }, [20000]);
    expect(await assign(20001)).to.deep.equal({ http: 20001, longpolling: 25000 });
    expect(await assign(0)).to.equal(null);
    const states = await answering([
      {
        id: 5,
        state: 'running',
        reason: 'Running',
        revision: 3,
        sleep_hours: 2,
        asleep: true,
        last_request_at: 7,
        wake_at: 9,
        last_backup_at: 11,
        last_proof_at: 12,
        last_failure_at: 0,
        has_job: true,
        is_copy: true,
      },
    ]).manager.states();
    const sleep = { sleepHours: 2, isAsleep: true, lastRequestAt: 7, wakeAt: 9 };
    const backups = { lastBackupAt: 11, lastProofAt: 12, lastFailureAt: 0, hasJob: true };
    const reported = { state: 'running', reason: 'Running', revision: 3, isCopy: true };
    const known = { ...reported, ...sleep, ...backups };
    expect([...states]).to.deep.equal([[5, known]]);
  });

  it('reports backups as Odoo writes them down, and how far a job is', async () => {
    const date = new Date('2026-11-27T02:00:05Z');
    const backup: Backup & { readonly kept: Kept } = {
      ...{ snapshot: 'ab'.repeat(32), date, bytes: 5, isByHand: false, kept: 'newest' },
      ...{ proof: 'data', proofDate: date, reason: '', detail: '' },
    };
    const told = answering(true);
    await told.manager.reportBackups(5, [backup, { ...backup, proofDate: null }], null);
    const failure = { reason: 'BackupServerAway', detail: 'no route' } as const;
    await told.manager.reportBackups(5, null, failure);
    await told.manager.reportManagerBackups({ lastBackupAt: 7, lastProofAt: 0 }, failure);
    await told.manager.reportJob(9, {
      state: 'running',
      reason: 'Proving',
      detail: '',
      percent: 45,
    });
    const row = {
      ...{ snapshot: 'ab'.repeat(32), size: 5, kept: 'newest', proof: 'data', reason: '' },
      ...{ detail: '', date: '2026-11-27 02:00:05', proof_date: '2026-11-27 02:00:05' },
    };
    expect(told.asked.map(([, , args]) => args)).to.deep.equal([
      { instance_id: 5, backups: [row, { ...row, proof_date: false }], failure: false },
      { instance_id: 5, backups: false, failure },
      { last_backup: 7, last_proof: 0, failure },
      { job_id: 9, state: 'running', reason: 'Proving', detail: '', percent: 45 },
    ]);
  });

  it('reports what instances use as Odoo writes it down: what nobody knows is false', async () => {
    const told = answering(true);
    const at = new Date('2026-11-27T02:00:05Z');
    const known = { diskMb: 50, databaseMb: 20, users: 3, memoryMb: 200, cpus: 0.5, requests: 0 };
    const none = { diskMb: null, databaseMb: null, users: null } as const;
    const less = { memoryMb: null, cpus: null, requests: null } as const;
    const uses = [known, { ...none, ...less }].map((use) => ({ ...use, id: 5, identity: 'x', at }));
    await told.manager.reportUse(uses, aHost({ shortOf: ['memory'] }));
    const row = { id: 5, identity: 'x', at: at.getTime() / 1000 };
    const values = { disk_mb: 50, database_mb: 20, users: 3, memory_mb: 200 };
    const nothing = { disk_mb: false, database_mb: false, users: false, memory_mb: false };
    expect(told.asked.map(([, method, args]) => [method, args])).to.deep.equal([
      [
        'microsaas_report_use',
        {
          uses: [
            { ...row, ...values, cpus: 0.5, requests: 0 },
            { ...row, ...nothing, cpus: false, requests: false },
          ],
          host: {
            ...{ memory_mb: 16_000, free_memory_mb: 8_000, disk_mb: 200_000 },
            ...{ free_disk_mb: 100_000, short_of: ['memory'] },
          },
        },
      ],
    ]);
  });

  it("reads customers' domains, and reports what was found out about one", async () => {
    const cnames = ['acme.example.com'];
    const shared = { id: 3, name: 'www.acme.com', token: 't', cnames, state: 'verified' };
    const row = { instance_id: 5, ...shared };
    const { asked, manager } = answering([row, { ...row, failing_since: '2026-11-22 10:00:05' }]);
    const domain = { instanceId: 5, ...shared };
    expect(await manager.domains([3, 4])).to.deep.equal([
      { ...domain, failingSince: null },
      { ...domain, failingSince: new Date('2026-11-22T10:00:05Z') },
    ]);
    expect(asked).to.deep.equal([
      ['microsaas.sidecar.api', 'microsaas_domains', { domain_ids: [3, 4] }],
    ]);
    const told = answering(true);
    const certificateUntil = new Date('2027-02-01T10:00:00Z');
    await told.manager.reportDomain(3, {
      ...{ state: 'verified', fault: null, proof: 'txt', certificateUntil },
    });
    const fault = { reason: 'DomainElsewhere', detail: '192.0.2.7' } as const;
    await told.manager.reportDomain(3, {
      ...{ state: 'pending', fault, proof: null, certificateUntil: null },
    });
    expect(told.asked.map(([, , args]) => args)).to.deep.equal([
      {
        domain_id: 3,
        state: 'verified',
        proof: 'txt',
        reason: '',
        detail: '',
        certificate_until: '2027-02-01 10:00:00',
      },
      { domain_id: 3, state: 'pending', proof: '', ...fault, certificate_until: false },
    ]);
  });

  describe('over a real connection', () => {
    const suite = new OdooSuite();

    it('names the row and the member that it does not understand', async () => {
      suite.odoo.answer = () => [INSTANCE_ROW, { ...INSTANCE_ROW, state: 'exploded' }];
      const error = await errorOf(new OdooManager(suite.client('json2')).desired([5]));
      expect(error.kind).to.equal('server');
      expect(error.message).to.contain('[1].state');
    });
  });
});
